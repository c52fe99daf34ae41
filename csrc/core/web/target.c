/* SPDX-License-Identifier: MIT
 * One pass over the segments. Each one is decoded into `out`, and then dropped, or taken back together with the one
 * before it, if it is "." or "..". */
#include "core/web/target.h"

#include <string.h>

#include "core/web/syntax.h"

/* Whether nothing has to be done: no escape, no empty segment, no segment that begins with a dot. */
static bool is_plain(const char *path, size_t size) {
  if (memchr(path, '%', size)) return false;
  for (size_t i = 0; i + 1 < size; i++)
    if (path[i] == '/' && (path[i + 1] == '/' || path[i + 1] == '.')) return false;
  return true;
}

struct writer {
  const char *at, *end;
  char *out;
  size_t size;
  bool raw, escaped;
};

static void keep_escape(struct writer *writer, unsigned byte) {
  memcpy(writer->out + writer->size, byte ? "%2F" : "%00", 3);
  writer->size += 3;
  writer->escaped = true;
}

/* Decodes the escape at `at`. False: it is none. */
static bool take_escape(struct writer *writer) {
  const char *at = writer->at;
  if (writer->end - at < 3 || !braid_char_is(at[1], BRAID_CHAR_HEX) || !braid_char_is(at[2], BRAID_CHAR_HEX))
    return false;
  unsigned byte = braid_hex_value(at[1]) << 4 | braid_hex_value(at[2]);
  writer->at += 3;
  if (writer->raw && byte != '.') {
    memcpy(writer->out + writer->size, at, 3);
    writer->size += 3;
  } else if (byte == '/' || byte == '\0') {
    keep_escape(writer, byte);
  } else {
    writer->out[writer->size++] = (char)byte;
  }
  return true;
}

static bool take_segment(struct writer *writer) {
  while (writer->at < writer->end && *writer->at != '/') {
    if (*writer->at != '%')
      writer->out[writer->size++] = *writer->at++;
    else if (!take_escape(writer))
      return false;
  }
  return true;
}

/* The segment that begins at `from` was written. Takes it back if it is empty or a dot; `last`: no segment follows.
 * False: two dots, with an escaped slash before them, would take back what others may see as two segments. */
static bool resolve(struct writer *writer, size_t from, bool last) {
  const char *segment = writer->out + from;
  size_t size = writer->size - from;
  bool dot = size == 1 && *segment == '.', dots = size == 2 && memcmp(segment, "..", 2) == 0;
  if (size > 0 && !dot && !dots) {
    if (!last) writer->out[writer->size++] = '/';
    return true;
  }
  if (dots && writer->escaped) return false;
  writer->size = from;
  if (dots && writer->size > 1) {
    writer->size--;
    while (writer->out[writer->size - 1] != '/') writer->size--;
  }
  return true;
}

enum braid_path braid_path_normalise(const char *path, size_t size, bool raw, char *out, size_t *out_size) {
  if (is_plain(path, size)) return BRAID_PATH_PLAIN;
  struct writer writer = {.at = path + 1, .end = path + size, .out = out, .size = 1, .raw = raw};
  *out = '/';
  while (writer.at <= writer.end) {
    size_t from = writer.size;
    if (!take_segment(&writer)) return BRAID_PATH_BAD;
    if (!resolve(&writer, from, writer.at == writer.end)) return BRAID_PATH_BAD;
    writer.at++;
  }
  *out_size = writer.size;
  return writer.escaped ? BRAID_PATH_ESCAPED : BRAID_PATH_WRITTEN;
}
