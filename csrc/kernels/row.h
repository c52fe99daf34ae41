/* SPDX-License-Identifier: MIT
 * The data of kernels: a row of numbers of one type. Its owner keeps it alive. Kernels read it in blocks of doubles or
 * of 64-bit integers (u64: the same bits), so they need no version for each type. Any thread; nothing blocks. */
#ifndef BRAID_ROW_H
#define BRAID_ROW_H

#include "core/memory/array.h"

struct braid_row {
  enum braid_array_type type;
  void *data;
  size_t count;
};

enum {
  BRAID_ROW_BLOCK = 1024,      /* elements of a block, which fits into the L1 cache */
  BRAID_ROW_CHUNK = 64 * 1024, /* elements of a chunk, which one thread processes at a time */
};

static inline bool braid_row_is_float(enum braid_array_type type) { return type == BRAID_F64 || type == BRAID_F32; }

/* XOR with this turns the type's order into that of signed integers. */
static inline int64_t braid_row_bias(enum braid_array_type type) { return type == BRAID_U64 ? INT64_MIN : 0; }

/* Elements from `first` on. Returns a pointer into the row if it has that type, else converts them into `buffer`. */
const double *braid_row_doubles(const struct braid_row *row, size_t first, size_t count, double *buffer);
const int64_t *braid_row_integers(const struct braid_row *row, size_t first, size_t count, int64_t *buffer);

/* Writes doubles. To floats: rounded to nearest. To integers: truncated towards zero and clamped to the doubles in the
 * type's range; NaN becomes 0. */
void braid_row_set_doubles(struct braid_row *row, size_t first, size_t count, const double *values);

/* Writes signed or unsigned 64-bit integers into integers; values out of the type's range are clamped. */
void braid_row_fit_integers(struct braid_row *row, size_t first, size_t count, const int64_t *values, bool is_unsigned);

/* Writes integers into integers; narrower types get the lowest bits. */
void braid_row_set_integers(struct braid_row *row, size_t first, size_t count, const int64_t *values);

#endif
