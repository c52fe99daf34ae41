/* SPDX-License-Identifier: MIT
 * br, by libbrotlidec. */
#include <stdlib.h>

#include "core/base/library.h"
#include "core/http/coding.h"
#include "core/http/coding_libraries.h"

#ifdef BRAID_HAVE_BROTLI

static bool load(void) {
  static const struct braid_library_symbol symbols[] = {{"BrotliDecoderCreateInstance", &braid_codings.brotli.open},
                                                        {"BrotliDecoderDecompressStream", &braid_codings.brotli.run},
                                                        {"BrotliDecoderDestroyInstance", &braid_codings.brotli.close}};
  return braid_library_load("brotlidec", "1", symbols, sizeof symbols / sizeof *symbols);
}

struct state {
  BrotliDecoderState *decoder;
  bool ended;
};

static void *open_state(void) {
  struct state *state = calloc(1, sizeof *state);
  if (!state) return NULL;
  state->decoder = braid_codings.brotli.open(NULL, NULL, NULL);
  if (state->decoder) return state;
  free(state);
  return NULL;
}

static bool run(void *context, struct braid_coding_flow *flow, bool *ended) {
  struct state *state = context;
  if (!state->ended) {
    BrotliDecoderResult result =
        braid_codings.brotli.run(state->decoder, &flow->in_size, (const uint8_t **)(uintptr_t)&flow->in,
                                 &flow->out_size, (uint8_t **)(uintptr_t)&flow->out, NULL);
    if (result == BROTLI_DECODER_RESULT_ERROR) return false;
    state->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
  }
  if (state->ended) flow->in_size = 0;
  *ended = state->ended;
  return true;
}

static void close_state(void *context) {
  struct state *state = context;
  braid_codings.brotli.close(state->decoder);
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

const struct braid_coding braid_coding_brotli = {"br", NULL, load, open_state, run, close_state};
