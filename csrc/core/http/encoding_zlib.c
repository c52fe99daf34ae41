/* SPDX-License-Identifier: MIT
 * gzip, by zlib. */
#include <stdlib.h>

#include "core/base/library.h"
#include "core/http/coding_libraries.h"
#include "core/http/encoder.h"

enum { LEAST = 1, USUAL = 6, MOST = 9 };

#ifdef BRAID_HAVE_ZLIB

enum { GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8 };

static bool load(void) {
  static const struct braid_library_symbol symbols[] = {{"deflateInit2_", &braid_codings.deflater.init},
                                                        {"deflate", &braid_codings.deflater.run},
                                                        {"deflateEnd", &braid_codings.deflater.end}};
  return braid_library_load("z", "1", symbols, sizeof symbols / sizeof *symbols);
}

static void *open_state(int level) {
  z_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  if (braid_codings.deflater.init(stream, level, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY,
                                  ZLIB_VERSION, (int)sizeof *stream) == Z_OK)
    return stream;
  free(stream);
  return NULL;
}

static int run(void *context, struct braid_coding_flow *flow, enum braid_encoder_step step) {
  static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
  z_stream *stream = context;
  stream->next_in = (Bytef *)(uintptr_t)flow->in;
  stream->avail_in = (unsigned)flow->in_size;
  stream->next_out = (Bytef *)flow->out;
  stream->avail_out = (unsigned)flow->out_size;
  int code = braid_codings.deflater.run(stream, flushes[step]);
  if (code == Z_STREAM_ERROR) return -1;
  flow->in = (const char *)stream->next_in;
  flow->in_size = stream->avail_in;
  flow->out = (char *)stream->next_out;
  flow->out_size = stream->avail_out;
  return step == BRAID_ENCODER_FINISH ? code != Z_STREAM_END : stream->avail_out == 0;
}

static void close_state(void *context) {
  braid_codings.deflater.end(context);
  free(context);
}

#else
static bool load(void) { return false; }
static void *open_state(int level) {
  (void)level;
  return NULL;
}
static int run(void *context, struct braid_coding_flow *flow, enum braid_encoder_step step) {
  (void)context, (void)flow, (void)step;
  return -1;
}
static void close_state(void *context) { (void)context; }
#endif

const struct braid_encoding braid_encoding_gzip = {"gzip", load, open_state, run, close_state, LEAST, USUAL, MOST};
