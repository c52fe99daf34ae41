/* SPDX-License-Identifier: MIT
 * zstd, by libzstd. */
#include <stdlib.h>

#include "core/base/library.h"
#include "core/http/coding.h"
#include "core/http/coding_libraries.h"

#ifdef BRAID_HAVE_ZSTD

static bool load(void) {
  static const struct braid_library_symbol symbols[] = {{"ZSTD_createDCtx", &braid_codings.zstd.open},
                                                        {"ZSTD_DCtx_setParameter", &braid_codings.zstd.set},
                                                        {"ZSTD_decompressStream", &braid_codings.zstd.run},
                                                        {"ZSTD_isError", &braid_codings.zstd.failed},
                                                        {"ZSTD_freeDCtx", &braid_codings.zstd.close}};
  return braid_library_load("zstd", "1", symbols, sizeof symbols / sizeof *symbols);
}

enum { WINDOW_LOG = 23 }; /* RFC 9659: 8 MB are the most that a server may ask for */

struct state {
  ZSTD_DCtx *decoder;
  bool ended;
};

static void *open_state(void) {
  struct state *state = calloc(1, sizeof *state);
  if (!state) return NULL;
  state->decoder = braid_codings.zstd.open();
  if (state->decoder) {
    braid_codings.zstd.set(state->decoder, ZSTD_d_windowLogMax, WINDOW_LOG);
    return state;
  }
  free(state);
  return NULL;
}

static bool run(void *context, struct braid_coding_flow *flow, bool *ended) {
  struct state *state = context;
  ZSTD_inBuffer in = {flow->in, flow->in_size, 0};
  ZSTD_outBuffer out = {flow->out, flow->out_size, 0};
  bool moves = true;
  while (moves && out.pos < out.size && !(state->ended && in.pos == in.size)) {
    size_t read = in.pos, written = out.pos, left = braid_codings.zstd.run(state->decoder, &out, &in);
    if (braid_codings.zstd.failed(left)) return false;
    state->ended = left == 0; /* of a frame: another one may follow */
    moves = in.pos > read || out.pos > written;
  }
  flow->in += in.pos;
  flow->in_size -= in.pos;
  flow->out += out.pos;
  flow->out_size -= out.pos;
  *ended = state->ended;
  return true;
}

static void close_state(void *context) {
  struct state *state = context;
  braid_codings.zstd.close(state->decoder);
  free(state);
}

#else
static bool load(void) { return false; }
static void *open_state(void) { return NULL; }
static bool run(void *context, struct braid_coding_flow *flow, bool *ended) {
  (void)context, (void)flow, (void)ended;
  return false;
}
static void close_state(void *context) { (void)context; }
#endif

const struct braid_coding braid_coding_zstd = {"zstd", NULL, load, open_state, run, close_state};
