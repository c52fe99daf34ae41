/* SPDX-License-Identifier: MIT
 * Finds where values belong in a sorted row. */
#ifndef BRAID_SEARCH_H
#define BRAID_SEARCH_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* Writes into `places` (i64), for each value, the smallest i (from 1) such that the value can be inserted before
 * element i; `right`: after equal elements. NaN is the largest. Values and elements are compared as integers if both
 * are, else as doubles. u64 can only be compared with u64 or floats. On the team's thread. */
enum braid_status braid_search(struct braid_team *team, const struct braid_row *sorted, const struct braid_row *values,
                               bool right, struct braid_row *places);

#endif
