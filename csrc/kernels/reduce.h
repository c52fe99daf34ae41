/* SPDX-License-Identifier: MIT
 * Reduces rows to one number. Each chunk is reduced separately; the results are combined as a balanced tree. So the
 * result depends neither on the number of threads nor on the width of vectors.
 *
 * Sums of floats are doubles: each block has 32 partial sums, which are added pairwise. The error is at most
 * (32 + 6 + log2(n / 1024)) * 2^-53 * the sum of the absolute values. Sums of integers are integers modulo 2^64, like
 * Lua's. */
#ifndef BRAID_REDUCE_H
#define BRAID_REDUCE_H

#include "core/work/crew.h"
#include "kernels/row.h"

enum braid_reduction {
  BRAID_REDUCE_SUM,
  BRAID_REDUCE_DOT,      /* of two rows of the same length */
  BRAID_REDUCE_LEAST,    /* NaN if there is one */
  BRAID_REDUCE_MOST,     /* NaN if there is one */
  BRAID_REDUCE_VARIANCE, /* mean, and the sum of the squares of the differences from it, in two passes */
};

struct braid_reduced {
  bool is_float; /* the result is `number`, else `integer` */
  double number; /* of VARIANCE: the sum of the squared differences */
  int64_t integer;
  size_t place; /* of LEAST and MOST: the index of the first such element, from 0 */
  double mean;  /* of VARIANCE */
};

/* `b` is for DOT. Rows of LEAST and MOST must not be empty. BRAID_CANCELLED: the team was stopped. On the team's
 * thread. */
enum braid_status braid_reduce(struct braid_team *team, enum braid_reduction what, const struct braid_row *a,
                               const struct braid_row *b, struct braid_reduced *result);

#endif
