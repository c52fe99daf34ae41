/* SPDX-License-Identifier: MIT
 * zstd, by libzstd. */
#include "core/base/library.h"
#include "core/http/coding_libraries.h"
#include "core/http/encoder.h"

enum { LEAST = 1, USUAL = 3, MOST = 19 };

#ifdef BRAID_HAVE_ZSTD

static bool load(void) {
  static const struct braid_library_symbol symbols[] = {{"ZSTD_createCCtx", &braid_codings.zstd_encoder.open},
                                                        {"ZSTD_CCtx_setParameter", &braid_codings.zstd_encoder.set},
                                                        {"ZSTD_compressStream2", &braid_codings.zstd_encoder.run},
                                                        {"ZSTD_isError", &braid_codings.zstd_encoder.failed},
                                                        {"ZSTD_freeCCtx", &braid_codings.zstd_encoder.close}};
  return braid_library_load("zstd", "1", symbols, sizeof symbols / sizeof *symbols);
}

enum { WINDOW_LOG = 23 }; /* RFC 9659: browsers take no more than 8 MB */

static void *open_state(int level) {
  ZSTD_CCtx *context = braid_codings.zstd_encoder.open();
  if (!context) return NULL;
  braid_codings.zstd_encoder.set(context, ZSTD_c_compressionLevel, level);
  if (level > USUAL) braid_codings.zstd_encoder.set(context, ZSTD_c_windowLog, WINDOW_LOG);
  return context;
}

static int run(void *context, struct braid_coding_flow *flow, enum braid_encoder_step step) {
  static const ZSTD_EndDirective directives[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
  ZSTD_inBuffer in = {flow->in, flow->in_size, 0};
  ZSTD_outBuffer out = {flow->out, flow->out_size, 0};
  size_t left = braid_codings.zstd_encoder.run(context, &out, &in, directives[step]);
  if (braid_codings.zstd_encoder.failed(left)) return -1;
  flow->in += in.pos;
  flow->in_size -= in.pos;
  flow->out += out.pos;
  flow->out_size -= out.pos;
  return step == BRAID_ENCODER_GO_ON ? flow->in_size > 0 : left > 0;
}

static void close_state(void *context) { braid_codings.zstd_encoder.close(context); }

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

const struct braid_encoding braid_encoding_zstd = {"zstd", load, open_state, run, close_state, LEAST, USUAL, MOST};
