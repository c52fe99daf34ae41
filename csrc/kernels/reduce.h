/* SPDX-License-Identifier: MIT
 * Rows to one number. Chunks are reduced each for itself and combined as a balanced tree, so the result depends
 * neither on the number of threads nor on the width of vectors.
 *
 * Sums of floats are doubles: 32 of each block's elements in step, then pairwise. Their error is at most
 * (32 + 6 + log2(n / 1024)) * 2^-53 * the sum of the absolute values. Sums of integers are integers modulo 2^64, as
 * Lua's are. */
#ifndef BRAID_REDUCE_H
#define BRAID_REDUCE_H

#include "core/work/crew.h"
#include "kernels/row.h"

enum braid_reduction {
  BRAID_REDUCE_SUM,
  BRAID_REDUCE_DOT,      /* of two rows of the same length */
  BRAID_REDUCE_LEAST,    /* NaN when there is one */
  BRAID_REDUCE_MOST,     /* the same */
  BRAID_REDUCE_VARIANCE, /* mean, and the sum of the squares of the differences from it, in two passes */
};

struct braid_reduced {
  bool is_float; /* number counts, else integer */
  double number; /* of VARIANCE: the sum of squares */
  int64_t integer;
  size_t place; /* of LEAST and MOST: the first where it stands, from 0 */
  double mean;  /* of VARIANCE */
};

/* BRAID_CANCELLED: the team was stopped. b: for DOT. Rows of LEAST and MOST must not be empty. On the team's thread. */
enum braid_status braid_reduce(struct braid_team *team, enum braid_reduction what, const struct braid_row *a,
                               const struct braid_row *b, struct braid_reduced *result);

#endif
