/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/base/visible.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"

/* Codes below U+00A0 order terminals about in two bytes, too, and U+202A to U+202E and U+2066 to U+2069 turn the
 * direction of what follows: U+00A0 is C2 A0, these are E2 80 AA to E2 80 AE and E2 81 A6 to E2 81 A9. */
static bool is_control(const unsigned char *at) {
  if (at[0] == 0xC2) return at[1] < 0xA0;
  if (at[0] != 0xE2) return false;
  return (at[1] == 0x80 && at[2] >= 0xAA && at[2] <= 0xAE) || (at[1] == 0x81 && at[2] >= 0xA6 && at[2] <= 0xA9);
}

/* The length of the visible character at the beginning of the text; 0: there is none. */
static size_t visible(const char *text, size_t size) {
  unsigned char first = (unsigned char)*text;
  if (first < 0x80) return first >= 0x20 && first != 0x7f;
  int length = braid_utf8_character(text, text + size);
  return length > 0 && !is_control((const unsigned char *)text) ? (size_t)length : 0;
}

void braid_visible_append(struct braid_buffer *to, const char *text, size_t size, bool lines) {
  for (size_t at = 0, length; at < size; at += length) {
    const char *next = text + at;
    length = visible(next, size - at);
    if (length == 0 && lines && *next == '\n') length = 1;
    if (length > 0) {
      braid_buffer_append(to, next, length);
      continue;
    }
    char code[8];
    int written = snprintf(code, sizeof code, "\\x%02x", (unsigned char)*next);
    braid_buffer_append(to, code, (size_t)written);
    length = 1;
  }
}

void braid_visible_format(struct braid_buffer *to, const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (written <= 0) return;
  size_t size = (size_t)written < sizeof line ? (size_t)written : sizeof line - 1;
  bool ends = format[strlen(format) - 1] == '\n';
  braid_visible_append(to, line, ends && line[size - 1] == '\n' ? size - 1 : size, false);
  if (ends) braid_buffer_append(to, "\n", 1);
}
