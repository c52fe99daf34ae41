/* SPDX-License-Identifier: MIT
 * The list of ways to compress, and the loop around each of them. */
#include "core/http/encoder.h"

#include <stdlib.h>
#include <string.h>

#include "core/http/coding_libraries.h"

enum {
  COUNT = 3,
  PIECE = 16 * 1024,
  SLICE = 1 << 20 /* of the input: the libraries count in unsigned int */
};

static const struct braid_encoding *const encodings[COUNT] = {&braid_encoding_zstd, &braid_encoding_brotli,
                                                              &braid_encoding_gzip};

struct braid_encoder {
  const struct braid_encoding *encoding;
  void *state;
};

static void load_all(void) {
  char *names = braid_codings.encoder_names;
  for (size_t i = 0; i < COUNT; i++) {
    if (!encodings[i]->load()) continue;
    if (*names) strcat(names, ",");
    strcat(names, encodings[i]->name);
  }
}

const char *braid_encoder_names(void) {
  pthread_once(&braid_codings.encoders_once, load_all);
  return braid_codings.encoder_names;
}

static int level_for(const struct braid_encoding *encoding, int level) {
  if (level < encoding->least) return encoding->usual;
  return level > encoding->most ? encoding->most : level;
}

struct braid_encoder *braid_encoder_open(const char *name, int level) {
  const char *here = braid_encoder_names();
  for (size_t i = 0; i < COUNT; i++) {
    const struct braid_encoding *encoding = encodings[i];
    if (strcmp(encoding->name, name) != 0 || !strstr(here, name)) continue;
    struct braid_encoder *encoder = malloc(sizeof *encoder);
    if (!encoder) return NULL;
    *encoder = (struct braid_encoder){encoding, encoding->open(level_for(encoding, level))};
    if (encoder->state) return encoder;
    free(encoder);
    return NULL;
  }
  return NULL;
}

void braid_encoder_close(struct braid_encoder *encoder) {
  if (!encoder) return;
  encoder->encoding->close(encoder->state);
  free(encoder);
}

static bool run_slice(struct braid_encoder *encoder, const char *data, size_t size, enum braid_encoder_step step,
                      struct braid_buffer *out) {
  struct braid_coding_flow flow = {.in = data, .in_size = size};
  for (;;) {
    flow.out = braid_buffer_reserve(out, PIECE);
    if (!flow.out) return false;
    flow.out_size = PIECE;
    int more = encoder->encoding->run(encoder->state, &flow, step);
    if (more < 0) return false;
    out->size += PIECE - flow.out_size;
    if (!more) return true;
  }
}

bool braid_encoder_run(struct braid_encoder *encoder, const char *data, size_t size, enum braid_encoder_step step,
                       struct braid_buffer *out) {
  for (; size > SLICE; data += SLICE, size -= SLICE)
    if (!run_slice(encoder, data, SLICE, BRAID_ENCODER_GO_ON, out)) return false;
  return run_slice(encoder, data, size, step, out);
}
