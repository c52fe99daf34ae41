/* SPDX-License-Identifier: MIT
 * Sorting rows: numbers in their order, -0.0 before 0.0, NaN behind all others in either direction. */
#ifndef BRAID_SORT_H
#define BRAID_SORT_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* The elements of `from`, sorted, into `to`, a row of the same type and length: the same or one apart. NaN loses what
 * its bits said. Stopped (BRAID_CANCELLED) or out of memory, `to` holds anything. On the team's thread. */
enum braid_status braid_sort(struct braid_team *team, const struct braid_row *from, struct braid_row *to,
                             bool descending);

/* Into order: the places, from 1, of the elements in their order. Elements that are equal keep theirs, and here -0.0
 * is equal to 0.0. On the team's thread. */
enum braid_status braid_sort_order(struct braid_team *team, const struct braid_row *row, bool descending,
                                   int64_t *order);

/* to[i] = from[order[i]], for a row of the same type, apart from `from`. On the team's thread. */
enum braid_status braid_sort_take(struct braid_team *team, const struct braid_row *from, const int64_t *order,
                                  struct braid_row *to);

#endif
