/* SPDX-License-Identifier: MIT
 * A state for each place in the framing; data is not looked at. */
#include "core/web/chunks.h"

#include "core/web/syntax.h"

enum {
  SIZE,      /* in the digits of a chunk's size */
  EXTENSION, /* behind ';' */
  SIZE_LF,   /* the CR of the size line has come */
  DATA,      /* in a chunk's data */
  DATA_CR,   /* behind it */
  DATA_LF,
  TRAILER,      /* at the beginning of a line after the last chunk */
  TRAILER_NAME, /* in the name of a trailer */
  TRAILER_VALUE,
  TRAILER_LF,
  LAST_LF, /* the CR of the empty line has come */
  OVER
};

enum { MOST_DIGITS = 15, MOST_TRAILERS = 128 };

static bool size_digit(struct braid_chunks *chunks, char c) {
  if (braid_char_is(c, BRAID_CHAR_HEX)) {
    if (chunks->digits == MOST_DIGITS) return false;
    chunks->digits++;
    chunks->left = chunks->left << 4 | braid_hex_value(c);
    return true;
  }
  if (chunks->digits == 0) return false;
  if (c == ';')
    chunks->state = EXTENSION;
  else if (c == '\r')
    chunks->state = SIZE_LF;
  else
    return false;
  return true;
}

/* A byte of text that is dropped, up to CR. */
static bool dropped(struct braid_chunks *chunks, char c, uint8_t next, uint32_t most) {
  if (c == '\r')
    chunks->state = next;
  else if (!braid_char_is(c, BRAID_CHAR_VALUE) || ++chunks->overhead > most)
    return false;
  return true;
}

static bool trailer_name(struct braid_chunks *chunks, char c, uint32_t most) {
  if (++chunks->overhead > most) return false;
  if (chunks->state == TRAILER_NAME && c == ':')
    chunks->state = TRAILER_VALUE;
  else if (!braid_char_is(c, BRAID_CHAR_TOKEN))
    return false;
  else
    chunks->state = TRAILER_NAME;
  return true;
}

/* Moves on when `c` is the `wanted` one. */
static bool expect(struct braid_chunks *chunks, char c, char wanted, uint8_t next) {
  chunks->state = next;
  return c == wanted;
}

static bool size_ended(struct braid_chunks *chunks, char c) {
  bool last = chunks->left == 0;
  chunks->digits = 0;
  return expect(chunks, c, '\n', last ? TRAILER : DATA);
}

static bool trailer(struct braid_chunks *chunks, char c, uint32_t most) {
  if (c == '\r') return expect(chunks, c, '\r', LAST_LF);
  return ++chunks->trailers <= MOST_TRAILERS && trailer_name(chunks, c, most);
}

/* A byte of the framing. False: it is malformed. */
static bool step(struct braid_chunks *chunks, char c, uint32_t most) {
  switch (chunks->state) {
    case SIZE: return size_digit(chunks, c);
    case EXTENSION: return dropped(chunks, c, SIZE_LF, most);
    case SIZE_LF: return size_ended(chunks, c);
    case DATA_CR: return expect(chunks, c, '\r', DATA_LF);
    case DATA_LF: return expect(chunks, c, '\n', SIZE);
    case TRAILER: return trailer(chunks, c, most);
    case TRAILER_NAME: return trailer_name(chunks, c, most);
    case TRAILER_VALUE: return dropped(chunks, c, TRAILER_LF, most);
    case TRAILER_LF: return expect(chunks, c, '\n', TRAILER);
    case LAST_LF: return expect(chunks, c, '\n', OVER);
    default: return false;
  }
}

enum braid_chunks_result braid_chunks_next(struct braid_chunks *chunks, const char *data, size_t size, uint32_t most,
                                           size_t *used, const char **piece, size_t *piece_size) {
  for (size_t i = 0; i < size; i++) {
    if (chunks->state == DATA) {
      size_t count = size - i < chunks->left ? size - i : (size_t)chunks->left;
      chunks->left -= count;
      if (chunks->left == 0) chunks->state = DATA_CR;
      *piece = data + i;
      *piece_size = count;
      *used = i + count;
      return BRAID_CHUNKS_PIECE;
    }
    if (!step(chunks, data[i], most)) return BRAID_CHUNKS_BAD;
    if (chunks->state != OVER) continue;
    *used = i + 1;
    return BRAID_CHUNKS_END;
  }
  *used = size;
  return BRAID_CHUNKS_MORE;
}
