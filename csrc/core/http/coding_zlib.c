/* SPDX-License-Identifier: MIT
 * gzip and deflate, by zlib. */
#include <stdlib.h>
#include <string.h>

#include "core/base/library.h"
#include "core/http/coding.h"
#include "core/http/coding_libraries.h"

#ifdef BRAID_HAVE_ZLIB

static bool load(void) {
  static const struct braid_library_symbol symbols[] = {{"inflateInit2_", &braid_codings.zlib.init},
                                                        {"inflate", &braid_codings.zlib.run},
                                                        {"inflateReset", &braid_codings.zlib.reset},
                                                        {"inflateEnd", &braid_codings.zlib.end}};
  return braid_library_load("z", "1", symbols, sizeof symbols / sizeof *symbols);
}

enum { WINDOW_BITS = 15, GZIP = 16, ZLIB_HEADER = 2 };

struct state {
  z_stream stream;
  bool gzip, started, ended;
  unsigned char header[ZLIB_HEADER]; /* of deflate: the first bytes tell whether zlib's header is there */
  unsigned header_size;
};

static void *open_as(bool gzip) {
  struct state *state = calloc(1, sizeof *state);
  if (state) state->gzip = gzip;
  return state;
}

static void *open_gzip(void) { return open_as(true); }
static void *open_deflate(void) { return open_as(false); }

static bool start(struct state *state) {
  const unsigned char *header = state->header;
  bool wrapped = (header[0] & 15) == Z_DEFLATED && (header[0] * 256 + header[1]) % 31 == 0;
  int bits = state->gzip ? WINDOW_BITS + GZIP : wrapped ? WINDOW_BITS : -WINDOW_BITS;
  state->started = braid_codings.zlib.init(&state->stream, bits, ZLIB_VERSION, (int)sizeof(z_stream)) == Z_OK;
  return state->started;
}

static unsigned most(size_t size) { return size < 1U << 30 ? (unsigned)size : 1U << 30; }

/* One call of inflate, from `in` to the flow's room. Returns how much of `in` was read, or -1. */
static int inflate_piece(struct state *state, const char *in, size_t size, struct braid_coding_flow *flow) {
  z_stream *stream = &state->stream;
  unsigned given = most(size), room = most(flow->out_size);
  stream->next_in = (Bytef *)(uintptr_t)in;
  stream->avail_in = given;
  stream->next_out = (Bytef *)flow->out;
  stream->avail_out = room;
  int code = braid_codings.zlib.run(stream, Z_NO_FLUSH);
  if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return -1;
  state->ended = code == Z_STREAM_END;
  flow->out += room - stream->avail_out;
  flow->out_size -= room - stream->avail_out;
  return (int)(given - stream->avail_in);
}

/* The end was reached before. gzip may go on with another member; anything else is dropped. */
static void go_on(struct state *state, struct braid_coding_flow *flow) {
  if (flow->in_size == 0) return;
  if (state->gzip && (unsigned char)*flow->in == 0x1f && braid_codings.zlib.reset(&state->stream) == Z_OK) {
    state->ended = false;
    return;
  }
  flow->in += flow->in_size;
  flow->in_size = 0;
}

/* Collects deflate's first bytes, and starts. False: it failed. */
static bool begin(struct state *state, struct braid_coding_flow *flow) {
  while (!state->gzip && state->header_size < ZLIB_HEADER && flow->in_size > 0) {
    state->header[state->header_size++] = (unsigned char)*flow->in++;
    flow->in_size--;
  }
  if (!state->gzip && state->header_size < ZLIB_HEADER) return true;
  return start(state) && (state->gzip || inflate_piece(state, (const char *)state->header, ZLIB_HEADER, flow) >= 0);
}

static bool run(void *context, struct braid_coding_flow *flow, bool *ended) {
  struct state *state = context;
  if (!state->started && !begin(state, flow)) return false;
  while (state->started) {
    if (state->ended) go_on(state, flow);
    if (state->ended || flow->out_size == 0) break;
    size_t room = flow->out_size;
    int count = inflate_piece(state, flow->in, flow->in_size, flow);
    if (count < 0) return false;
    flow->in += count;
    flow->in_size -= (size_t)count;
    if (count == 0 && flow->out_size == room && !state->ended) break;
  }
  *ended = state->ended;
  return true;
}

static void close_state(void *context) {
  struct state *state = context;
  if (state->started) braid_codings.zlib.end(&state->stream);
  free(state);
}

#else
static bool load(void) { return false; }
static void *open_gzip(void) { return NULL; }
static void *open_deflate(void) { return NULL; }
static bool run(void *context, struct braid_coding_flow *flow, bool *ended) {
  (void)context, (void)flow, (void)ended;
  return false;
}
static void close_state(void *context) { (void)context; }
#endif

const struct braid_coding braid_coding_gzip = {"gzip", "x-gzip", load, open_gzip, run, close_state};
const struct braid_coding braid_coding_deflate = {"deflate", NULL, load, open_deflate, run, close_state};
