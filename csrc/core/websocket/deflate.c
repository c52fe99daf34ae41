/* SPDX-License-Identifier: MIT
 * A compressed message is raw deflate data that ends with an empty stored block, of which the last four bytes are not
 * sent. */
#include "core/websocket/deflate.h"

#include <stdlib.h>
#include <zlib.h>

enum { PIECE = 4096, MOST_INPUT = 1 << 30, LEAST_WINDOW = 9 };

static const char tail[] = {0, 0, '\xFF', '\xFF'};

bool braid_deflate_can(const struct braid_deflate_terms *terms) { return terms->window >= LEAST_WINDOW; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* ---- compressing ---------------------------------------------------------------------------------------------- */

static bool open_deflate(struct braid_deflate *deflate) {
  if (deflate->stream) return true;
  int window = deflate->terms.window, memory = window < 13 ? 5 : 8; /* 64 KiB, or 256 KiB */
  z_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return false;
  if (deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -window, memory, Z_DEFAULT_STRATEGY) != Z_OK) {
    free(stream);
    return false;
  }
  deflate->stream = stream;
  return true;
}

/* Compresses the input of the stream; with Z_SYNC_FLUSH everything comes out. */
static bool compress_input(z_stream *stream, int flush, struct braid_buffer *out) {
  do {
    char *room = braid_buffer_reserve(out, PIECE);
    if (!room) return false;
    stream->next_out = (Bytef *)room;
    stream->avail_out = PIECE;
    if (deflate(stream, flush) == Z_STREAM_ERROR) return false;
    out->size += PIECE - stream->avail_out;
  } while (stream->avail_out == 0);
  return true;
}

enum braid_status braid_deflate_message(struct braid_deflate *deflate, const char *data, size_t size,
                                        struct braid_buffer *out) {
  if (!open_deflate(deflate)) return BRAID_NO_MEMORY;
  z_stream *stream = deflate->stream;
  while (size > 0) {
    size_t piece = smaller(size, MOST_INPUT);
    stream->next_in = (z_const Bytef *)data;
    stream->avail_in = (uInt)piece;
    data += piece;
    size -= piece;
    if (!compress_input(stream, size > 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH, out)) return BRAID_NO_MEMORY;
  }
  out->size -= sizeof tail;
  if (!deflate->terms.takeover) deflateReset(stream);
  return BRAID_OK;
}

void braid_deflate_term(struct braid_deflate *deflate) {
  if (deflate->stream) deflateEnd(deflate->stream);
  free(deflate->stream);
  deflate->stream = NULL;
}

/* ---- inflating ------------------------------------------------------------------------------------------------ */

static bool open_inflate(struct braid_deflate *inflate) {
  if (inflate->stream) return true;
  z_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return false;
  if (inflateInit2(stream, -inflate->terms.window) != Z_OK) {
    free(stream);
    return false;
  }
  inflate->stream = stream;
  return true;
}

/* Some senders mark a block as the last one of the data; the window stays nevertheless. */
static enum braid_status go_on(z_stream *stream, int result) {
  if (result == Z_STREAM_END) return inflateResetKeep(stream) == Z_OK ? BRAID_OK : BRAID_BROKEN;
  if (result == Z_MEM_ERROR) return BRAID_NO_MEMORY;
  return result == Z_OK || result == Z_BUF_ERROR ? BRAID_OK : BRAID_BROKEN;
}

/* Inflates the input of the stream. There is always room for one byte more than allowed, so that too much is seen. */
static enum braid_status inflate_input(z_stream *stream, size_t most, struct braid_buffer *into) {
  bool more = true;
  while (more) {
    size_t room = smaller(PIECE, most - into->size + 1);
    char *at = braid_buffer_reserve(into, room);
    if (!at) return BRAID_NO_MEMORY;
    stream->next_out = (Bytef *)at;
    stream->avail_out = (uInt)room;
    int result = inflate(stream, Z_SYNC_FLUSH);
    into->size += room - stream->avail_out;
    if (into->size > most) return BRAID_FULL;
    enum braid_status status = go_on(stream, result);
    if (status != BRAID_OK) return status;
    more = stream->avail_out == 0 || (result == Z_STREAM_END && stream->avail_in > 0);
  }
  return BRAID_OK;
}

static enum braid_status inflate_bytes(z_stream *stream, const char *data, size_t size, size_t most,
                                       struct braid_buffer *into) {
  enum braid_status status = BRAID_OK;
  while (size > 0 && status == BRAID_OK) {
    size_t piece = smaller(size, MOST_INPUT);
    stream->next_in = (z_const Bytef *)data;
    stream->avail_in = (uInt)piece;
    data += piece;
    size -= piece;
    status = inflate_input(stream, most, into);
  }
  return status;
}

/* Whether the data ended between two blocks, at the end of a byte. */
static bool is_whole(const z_stream *stream) { return (stream->data_type & 128) && (stream->data_type & 63) == 0; }

enum braid_status braid_inflate_piece(struct braid_deflate *inflate, const char *data, size_t size, bool last,
                                      size_t most, struct braid_buffer *into) {
  if (!open_inflate(inflate)) return BRAID_NO_MEMORY;
  z_stream *stream = inflate->stream;
  enum braid_status status = inflate_bytes(stream, data, size, most, into);
  if (!last || status != BRAID_OK) return status;
  status = inflate_bytes(stream, tail, sizeof tail, most, into);
  if (status == BRAID_OK && !is_whole(stream)) return BRAID_BROKEN;
  if (!inflate->terms.takeover) inflateReset(stream);
  return status;
}

void braid_inflate_term(struct braid_deflate *inflate) {
  if (inflate->stream) inflateEnd(inflate->stream);
  free(inflate->stream);
  inflate->stream = NULL;
}
