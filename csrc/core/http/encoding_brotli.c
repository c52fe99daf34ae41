/* SPDX-License-Identifier: MIT
 * br, by libbrotlienc. */
#include "core/base/library.h"
#include "core/http/coding_libraries.h"
#include "core/http/encoder.h"

enum { LEAST = 1, USUAL = 4, MOST = 11 };

#ifdef BRAID_HAVE_BROTLI_ENCODER

static bool load(void) {
  static const struct braid_library_symbol symbols[] = {
      {"BrotliEncoderCreateInstance", &braid_codings.brotli_encoder.open},
      {"BrotliEncoderSetParameter", &braid_codings.brotli_encoder.set},
      {"BrotliEncoderCompressStream", &braid_codings.brotli_encoder.run},
      {"BrotliEncoderHasMoreOutput", &braid_codings.brotli_encoder.has_more},
      {"BrotliEncoderDestroyInstance", &braid_codings.brotli_encoder.close}};
  return braid_library_load("brotlienc", "1", symbols, sizeof symbols / sizeof *symbols);
}

static void *open_state(int level) {
  BrotliEncoderState *state = braid_codings.brotli_encoder.open(NULL, NULL, NULL);
  if (state) braid_codings.brotli_encoder.set(state, BROTLI_PARAM_QUALITY, (uint32_t)level);
  return state;
}

static int run(void *context, struct braid_coding_flow *flow, enum braid_encoder_step step) {
  static const BrotliEncoderOperation operations[] = {BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
                                                      BROTLI_OPERATION_FINISH};
  if (!braid_codings.brotli_encoder.run(context, operations[step], &flow->in_size,
                                        (const uint8_t **)(uintptr_t)&flow->in, &flow->out_size,
                                        (uint8_t **)(uintptr_t)&flow->out, NULL))
    return -1;
  return flow->in_size > 0 || braid_codings.brotli_encoder.has_more(context);
}

static void close_state(void *context) { braid_codings.brotli_encoder.close(context); }

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

const struct braid_encoding braid_encoding_brotli = {"br", load, open_state, run, close_state, LEAST, USUAL, MOST};
