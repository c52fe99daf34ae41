/* SPDX-License-Identifier: MIT
 * Computes an expression over rows, element by element. It works block by block, so that intermediate values stay in
 * the L1 cache. */
#ifndef BRAID_MAP_H
#define BRAID_MAP_H

#include "core/work/crew.h"
#include "kernels/expression.h"
#include "kernels/row.h"

/* The value of a variable: a row as long as the result, or one number. */
struct braid_map_value {
  struct braid_row row;
  double number;
  int64_t integer; /* the same number, if it is an integer */
  bool is_row, is_integer;
};

/* `values` are those of the expression's variables, in its order. A row among them is the result itself, or does not
 * overlap it.
 *
 * It computes in doubles. But if all rows, numbers and the result are integers, and each step gives integers, it
 * computes in 64-bit integers, modulo 2^64, and clamps what the result's type cannot hold. Integers are unsigned if
 * there are rows of u64 and none of a signed type; a negative number then means the u64 with the same bits. If there
 * are rows of both kinds, comparisons and divisions are done in doubles. On the team's thread. */
enum braid_status braid_map(struct braid_team *team, const struct braid_expression *expression,
                            const struct braid_map_value *values, struct braid_row *result);

#endif
