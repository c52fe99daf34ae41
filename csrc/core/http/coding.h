/* SPDX-License-Identifier: MIT
 * The codings of Content-Encoding, each as a stage that turns compressed bytes into plain ones. Their libraries are
 * loaded when they are first needed. Any thread that alone uses a stage; nothing blocks but that loading. */
#ifndef BRAID_CODING_H
#define BRAID_CODING_H

#include "core/base/base.h"

/* What a stage reads, and where it writes. It moves both ahead. */
struct braid_coding_flow {
  const char *in;
  size_t in_size;
  char *out;
  size_t out_size;
};

struct braid_coding {
  const char *name, *other_name; /* other_name: NULL, or an older one */
  bool (*load)(void);            /* loads its library; whether it is here. Is called once */
  /* NULL: memory is out. */
  void *(*open)(void);
  /* Decodes until the input or the room ends. False: the input is corrupt. `ended`: whether what was read is complete.
   * What comes after the end is read and dropped, unless it begins another compressed stream. */
  bool (*run)(void *state, struct braid_coding_flow *flow, bool *ended);
  void (*close)(void *state);
};

extern const struct braid_coding braid_coding_gzip, braid_coding_deflate, braid_coding_brotli, braid_coding_zstd;

/* The coding of this name, in any case, if its library is here. NULL: unknown. */
const struct braid_coding *braid_coding_find(const char *name, size_t size);

/* The names of all that are here, as Accept-Encoding lists them. */
const char *braid_coding_names(void);

#endif
