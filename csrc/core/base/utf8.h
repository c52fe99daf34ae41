/* SPDX-License-Identifier: MIT
 * UTF-8 as Unicode defines it: no surrogates, nothing longer than it need be, nothing above U+10FFFF. Any thread. */
#ifndef BRAID_UTF8_H
#define BRAID_UTF8_H

#include <string.h>

#include "core/base/base.h"

/* U+FFFD, which stands for what is no character. */
#define BRAID_UTF8_REPLACEMENT "\xEF\xBF\xBD"

/* The length of the character of two bytes or more that begins at `at`, before `end`. Less than 0: there is none, and
 * so many bytes (negated) are to be replaced by one U+FFFD. */
int braid_utf8_character(const char *at, const char *end);

/* Writes the character, which must be one; returns its bytes, at most 4. */
size_t braid_utf8_write(char *into, uint32_t character);

/* Behind the bytes from `at` on that a quoted JSON string has as they are, and that are ASCII. */
static inline const char *braid_utf8_skip_plain(const char *at, const char *end) {
  const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t special = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | word;
    if (special & highs) break; /* or a neighbour's borrow: the loop below looks again */
  }
  while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\') at++;
  return at;
}

#endif
