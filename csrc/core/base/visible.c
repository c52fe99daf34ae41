/* SPDX-License-Identifier: MIT
 * Copies visible characters and escapes all other bytes. */
#include "core/base/visible.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"

/* The characters from U+0080 to U+009F are control codes of terminals. U+202A to U+202E and U+2066 to U+2069 change the
 * direction of the text that follows. In UTF-8: C2 80 to C2 9F, E2 80 AA to E2 80 AE, E2 81 A6 to E2 81 A9. */
static bool is_control(const unsigned char *at) {
  if (at[0] == 0xC2) return at[1] < 0xA0;
  if (at[0] != 0xE2) return false;
  return (at[1] == 0x80 && at[2] >= 0xAA && at[2] <= 0xAE) || (at[1] == 0x81 && at[2] >= 0xA6 && at[2] <= 0xA9);
}

/* The length of the visible character at the beginning of the text; 0 when the first byte begins none. */
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
