/* SPDX-License-Identifier: MIT
 * An expression over rows, element by element: block after block, so that what lies between its steps stays in the
 * first cache. */
#ifndef BRAID_MAP_H
#define BRAID_MAP_H

#include "core/work/crew.h"
#include "kernels/expression.h"
#include "kernels/row.h"

/* What stands for a variable: a row as long as the result, or one number. */
struct braid_map_value {
  struct braid_row row;
  double number;
  int64_t integer; /* the same, when it is one */
  bool is_row, is_integer;
};

/* The values are those of the expression's variables, in its order. A row of them may be the result itself, or lies
 * apart from it.
 *
 * Computed in doubles. But where all rows, numbers and the result are of integers, and so is what each step makes, in
 * these, modulo 2^64; results that the result's type cannot hold become its ends. Integers are unsigned where there are
 * rows of u64 and none of a signed type: then a negative number stands for the one of u64 that has its bits. Where
 * both are, signed and unsigned are not compared or divided: that is done in doubles. On the team's thread. */
enum braid_status braid_map(struct braid_team *team, const struct braid_expression *expression,
                            const struct braid_map_value *values, struct braid_row *result);

#endif
