/* SPDX-License-Identifier: MIT
 * UTF-8 as Unicode defines it: no surrogates, no overlong forms, nothing above U+10FFFF. Any thread. */
#ifndef BRAID_UTF8_H
#define BRAID_UTF8_H

#include <string.h>

#include "core/base/base.h"

/* U+FFFD, the replacement for invalid bytes. */
#define BRAID_UTF8_REPLACEMENT "\xEF\xBF\xBD"

/* Returns the length of the multi-byte character that begins at `at`; `end` is the end of the text. Negative when it is
 * invalid: one U+FFFD then replaces so many bytes (negated). */
int braid_utf8_character(const char *at, const char *end);

/* Writes the character, which must be valid. Returns the number of bytes, at most 4. */
size_t braid_utf8_write(char *into, uint32_t character);

/* Skips ASCII that a JSON string may contain without an escape. Returns the first byte that is something else. */
static inline const char *braid_utf8_skip_plain(const char *at, const char *end) {
  const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t special = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | word;
    if (special & highs) break; /* may be a false alarm, by a borrow from the next byte: the loop below checks */
  }
  while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\') at++;
  return at;
}

#endif
