/* SPDX-License-Identifier: MIT
 * Elements by index and by mask. Indices are integers from 1. A mask is a row of integers: 0 leaves an element out. On
 * the team's thread; with team NULL on the caller's. */
#ifndef BRAID_SELECTION_H
#define BRAID_SELECTION_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* What a kernel returns when the index at `bad` (from 0) names no element: nothing after it counts. */
struct braid_selection {
  enum braid_status status;
  bool out_of_range;
  size_t bad;
};

/* out[i] = from[indices[i]]. `out` has the type of `from` and the length of `indices`. */
struct braid_selection braid_selection_take(struct braid_team *team, const struct braid_row *from,
                                            const struct braid_row *indices, struct braid_row *out);

/* to[indices[i]] = values[i], in order; with `add` the value is added: integers modulo 2^64, floats as doubles. One
 * thread does it, so the result does not depend on the number of threads. */
struct braid_selection braid_selection_put(struct braid_team *team, struct braid_row *to,
                                           const struct braid_row *indices, const struct braid_row *values, bool add);

/* The number of elements of the mask that are not 0. */
enum braid_status braid_selection_count(struct braid_team *team, const struct braid_row *mask, size_t *count);

/* The elements of `from` where the mask is not 0; `from` NULL: their indices (`out` is i64). `out` has as many elements
 * as braid_selection_count tells. */
enum braid_status braid_selection_compress(struct braid_team *team, const struct braid_row *from,
                                           const struct braid_row *mask, struct braid_row *out);

/* A row or one number for all elements. */
struct braid_selection_value {
  const struct braid_row *row; /* NULL: the number */
  double number;
  int64_t integer;
};

/* out[i] = mask[i] is not 0 ? a[i] : b[i]; in doubles if `out` has floats, else in integers. */
enum braid_status braid_selection_where(struct braid_team *team, const struct braid_row *mask,
                                        const struct braid_selection_value *a, const struct braid_selection_value *b,
                                        struct braid_row *out);

/* out[i] = first + i * step, from i = 0; in doubles if `out` has floats, else in integers. `last`: the last element of
 * floats is exactly this number, unless it is NaN. */
enum braid_status braid_selection_ramp(struct braid_team *team, struct braid_row *out, double first, double step,
                                       double last, int64_t first_integer, int64_t step_integer);

#endif
