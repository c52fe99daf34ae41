/* SPDX-License-Identifier: MIT
 * The range of the second byte depends on the first one. That excludes surrogates, overlong forms and codes above
 * U+10FFFF. */
#include "core/base/utf8.h"

static inline bool is_between(char byte, int low, int high) {
  return (unsigned char)byte >= low && (unsigned char)byte <= high;
}

int braid_utf8_character(const char *at, const char *end) {
  int first = (unsigned char)*at, length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2, low = 0x80, high = 0xBF;
  if (first < 0xC2 || first > 0xF4) return -1;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  if (end - at < 2 || !is_between(at[1], low, high)) return -1;
  for (int i = 2; i < length; i++)
    if (end - at <= i || !is_between(at[i], 0x80, 0xBF)) return -i;
  return length;
}

size_t braid_utf8_write(char *into, uint32_t character) {
  if (character < 0x80) {
    into[0] = (char)character;
    return 1;
  }
  size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
  static const int heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = length - 1; i > 0; i--, character >>= 6) into[i] = (char)(0x80 | (character & 0x3F));
  into[0] = (char)(heads[length] | (int)character);
  return length;
}
