/* SPDX-License-Identifier: MIT
 * Skips ASCII by words, and lets core/base/utf8 judge the rest. */
#include "core/websocket/text_check.h"

#include <string.h>

#include "core/base/utf8.h"

static const char *skip_ascii(const char *at, const char *end) {
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    if (word & UINT64_C(0x8080808080808080)) break;
  }
  while (at < end && (unsigned char)*at < 0x80) at++;
  return at;
}

/* Whether the bytes up to the end, which are no character, could become one. */
static bool is_unfinished(const char *at, const char *end, int invalid) {
  unsigned char first = (unsigned char)*at;
  return at + invalid == end && first >= 0xC2 && first <= 0xF4;
}

bool braid_text_check(const char *text, size_t size, size_t *checked) {
  const char *at = text + *checked, *end = text + size;
  while ((at = skip_ascii(at, end)) < end) {
    int length = braid_utf8_character(at, end);
    if (length < 0) {
      *checked = (size_t)(at - text);
      return is_unfinished(at, end, -length);
    }
    at += length;
  }
  *checked = size;
  return true;
}
