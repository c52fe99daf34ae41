/* SPDX-License-Identifier: MIT
 * Compresses bodies: the other direction of decoder.h, with the libraries of coding_libraries.h. Its owner's thread
 * only; nothing blocks but the loading of the libraries at the first call. */
#ifndef BRAID_ENCODER_H
#define BRAID_ENCODER_H

#include "core/base/buffer.h"
#include "core/http/coding.h"

struct braid_encoder;

/* What follows the input: more of it; more, but what was given has to be readable by the receiver; nothing. */
enum braid_encoder_step { BRAID_ENCODER_GO_ON, BRAID_ENCODER_FLUSH, BRAID_ENCODER_FINISH };

/* A way to compress. */
struct braid_encoding {
  const char *name;
  bool (*load)(void);       /* loads its library; whether it is here. Is called once */
  void *(*open)(int level); /* NULL: memory is out */
  /* Encodes until the room ends, or the input and the step are done. Returns whether there is more to write; negative:
   * memory is out. */
  int (*run)(void *state, struct braid_coding_flow *flow, enum braid_encoder_step step);
  void (*close)(void *state);
  int least, usual, most; /* levels */
};

extern const struct braid_encoding braid_encoding_gzip, braid_encoding_brotli, braid_encoding_zstd;

/* The names of all that are here, with commas between them. */
const char *braid_encoder_names(void);

/* Makes an encoder: "gzip", "br" or "zstd". A level below that coding's least one is its usual one; a level above its
 * most is its most. NULL: there is no such coding here, or memory is out. */
struct braid_encoder *braid_encoder_open(const char *name, int level);
void braid_encoder_close(struct braid_encoder *encoder);

/* Appends to `out`. After BRAID_ENCODER_FINISH there is nothing more to do. False: memory is out. */
bool braid_encoder_run(struct braid_encoder *encoder, const char *data, size_t size, enum braid_encoder_step step,
                       struct braid_buffer *out);

#endif
