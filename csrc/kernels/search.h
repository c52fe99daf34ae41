/* SPDX-License-Identifier: MIT
 * Where values belong in a sorted row. */
#ifndef BRAID_SEARCH_H
#define BRAID_SEARCH_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* Into places (of i64), for each value: the least i from 1 so that it can stand before the i-th element (`right`:
 * after those that are equal to it) and the order stays. NaN stands last. Values and elements are compared as integers
 * when both are, as doubles otherwise; u64 only with u64 or floats. On the team's thread. */
enum braid_status braid_search(struct braid_team *team, const struct braid_row *sorted, const struct braid_row *values,
                               bool right, struct braid_row *places);

#endif
