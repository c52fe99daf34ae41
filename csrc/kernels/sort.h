/* SPDX-License-Identifier: MIT
 * Sorts rows. -0.0 is before 0.0. NaN is last, in ascending and descending order. */
#ifndef BRAID_SORT_H
#define BRAID_SORT_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* Writes the sorted elements of `from` into `to`, a row of the same type and length: the same row, or one that does not
 * overlap. NaN loses its payload bits. After BRAID_CANCELLED or BRAID_NO_MEMORY the content of `to` is undefined. On
 * the team's thread. */
enum braid_status braid_sort(struct braid_team *team, const struct braid_row *from, struct braid_row *to,
                             bool descending);

/* Writes the indices (from 1) of the elements in sorted order. Stable. Here -0.0 equals 0.0. On the team's thread. */
enum braid_status braid_sort_order(struct braid_team *team, const struct braid_row *row, bool descending,
                                   int64_t *order);

/* to[i] = from[order[i]]. The rows have the same type and do not overlap. On the team's thread. */
enum braid_status braid_sort_take(struct braid_team *team, const struct braid_row *from, const int64_t *order,
                                  struct braid_row *to);

#endif
