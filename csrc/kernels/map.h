/* SPDX-License-Identifier: MIT
 * An expression over rows, element by element: block after block, so that what lies between its steps stays in the
 * first cache. */
#ifndef BRAID_MAP_H
#define BRAID_MAP_H

#include "../core/parallel.h"
#include "expression.h"
#include "row.h"

/* What stands for a variable: a row as long as the result, or one number. */
struct braid_map_value {
  struct braid_row row;
  double number;
  bool is_row;
};

/* The values are those of the expression's variables, in its order. A row of them may be the result itself, or lies
 * apart from it. On the team's thread. */
enum braid_status braid_map(struct braid_team *team, const struct braid_expression *expression,
                            const struct braid_map_value *values, struct braid_row *result);

#endif
