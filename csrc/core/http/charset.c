/* SPDX-License-Identifier: MIT
 * iconv; but UTF-8 itself is checked by core/base/utf8, which knows how long an invalid part is. */
#include "core/http/charset.h"

#include <errno.h>
#include <iconv.h>
#include <strings.h>

#include "core/base/utf8.h"

#define MARK "\xEF\xBB\xBF"

static bool replace(struct braid_buffer *out) {
  return braid_buffer_append(out, BRAID_UTF8_REPLACEMENT, sizeof BRAID_UTF8_REPLACEMENT - 1);
}

static bool copy_utf8(const char *text, size_t size, struct braid_buffer *out) {
  const char *end = text + size, *start = text;
  bool there = true;
  while (text < end && there) {
    int length = (unsigned char)*text < 0x80 ? 1 : braid_utf8_character(text, end);
    if (length > 0) {
      text += length;
      continue;
    }
    there = braid_buffer_append(out, start, (size_t)(text - start)) && replace(out);
    start = text -= length;
  }
  return there && braid_buffer_append(out, start, (size_t)(text - start));
}

static size_t unit_of(const char *charset) {
  if (strncasecmp(charset, "utf-16", 6) == 0 || strncasecmp(charset, "ucs-2", 5) == 0) return 2;
  return strncasecmp(charset, "utf-32", 6) == 0 || strncasecmp(charset, "ucs-4", 5) == 0 ? 4 : 1;
}

static bool convert(iconv_t converter, size_t unit, const char *text, size_t size, struct braid_buffer *out) {
  enum { ROOM = 4096 };
  char *in = (char *)(uintptr_t)text;
  bool reading = true;
  while (reading) {
    char *start = braid_buffer_reserve(out, ROOM), *to = start;
    size_t room = ROOM;
    if (!start) return false;
    reading = size > 0; /* the last round writes what the converter holds back */
    bool failed = iconv(converter, reading ? &in : NULL, reading ? &size : NULL, &to, &room) == (size_t)-1;
    int error = failed ? errno : 0;
    out->size += (size_t)(to - start);
    if (error != EILSEQ && error != EINVAL) continue;
    size_t skipped = error == EINVAL || size < unit ? size : unit;
    in += skipped;
    size -= skipped;
    if (!replace(out)) return false;
  }
  return true;
}

static void drop_mark(struct braid_buffer *out, size_t before) {
  size_t length = sizeof MARK - 1;
  if (out->size - before < length || memcmp(out->data + before, MARK, length) != 0) return;
  out->size -= length;
  memmove(out->data + before, out->data + before + length, out->size - before);
}

/* What a charset is called; iconv's names may have suffixes that change what it does. */
static bool is_name(const char *charset) {
  size_t length = strlen(charset);
  return length > 0 && length < 64 &&
         strspn(charset, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+") == length;
}

enum braid_charset_result braid_charset_decode(const char *charset, const char *text, size_t size,
                                               struct braid_buffer *out) {
  size_t before = out->size;
  bool done;
  if (strcasecmp(charset, "utf-8") == 0 || strcasecmp(charset, "utf8") == 0) {
    done = copy_utf8(text, size, out);
  } else {
    iconv_t converter = is_name(charset) ? iconv_open("UTF-8", charset) : (iconv_t)-1;
    if (converter == (iconv_t)-1) return BRAID_CHARSET_UNKNOWN;
    done = convert(converter, unit_of(charset), text, size, out);
    iconv_close(converter);
  }
  drop_mark(out, before);
  return done ? BRAID_CHARSET_DONE : BRAID_CHARSET_NO_MEMORY;
}
