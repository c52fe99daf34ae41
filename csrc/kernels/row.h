/* SPDX-License-Identifier: MIT
 * What kernels compute with: a row of numbers of one type, which somebody else owns and keeps alive. Kernels read it
 * in blocks, as doubles or as 64-bit integers (those of u64 with their bits), and so need no version for each type.
 * Any thread; nothing blocks. */
#ifndef BRAID_ROW_H
#define BRAID_ROW_H

#include "core/memory/array.h"

struct braid_row {
  enum braid_array_type type;
  void *data;
  size_t count;
};

enum {
  BRAID_ROW_BLOCK = 1024,      /* elements of a block, which stays in the first cache */
  BRAID_ROW_CHUNK = 64 * 1024, /* elements of a chunk: what one thread does at a time */
};

static inline bool braid_row_is_float(enum braid_array_type type) { return type == BRAID_F64 || type == BRAID_F32; }

/* What x is to be xored with so that the order of elements is that of signed integers. */
static inline int64_t braid_row_bias(enum braid_array_type type) { return type == BRAID_U64 ? INT64_MIN : 0; }

/* `count` elements from `first` on: where they are, or in the buffer. */
const double *braid_row_doubles(const struct braid_row *row, size_t first, size_t count, double *buffer);
const int64_t *braid_row_integers(const struct braid_row *row, size_t first, size_t count, int64_t *buffer);

/* Into floats: rounded to nearest. Into integers: towards zero; what is outside of the type's range becomes the double
 * at its end, NaN becomes 0. */
void braid_row_set_doubles(struct braid_row *row, size_t first, size_t count, const double *values);

/* Into integers: what is outside of the type's range becomes its end. The values are signed, or unsigned. */
void braid_row_fit_integers(struct braid_row *row, size_t first, size_t count, const int64_t *values, bool is_unsigned);

/* Into integers narrower than 64 bits: the lowest bits. */
void braid_row_set_integers(struct braid_row *row, size_t first, size_t count, const int64_t *values);

#endif
