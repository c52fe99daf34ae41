/* SPDX-License-Identifier: MIT
 * Runs of equal elements in a sorted row. */
#ifndef BRAID_UNIQUE_H
#define BRAID_UNIQUE_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* The first of each run into `values` (of the row's type), the length of the run into `counts`; values NULL: only
 * *found is wanted, how many there are. One NaN equals another, -0.0 equals 0.0. On the team's thread. */
enum braid_status braid_unique(struct braid_team *team, const struct braid_row *sorted, struct braid_row *values,
                               int64_t *counts, size_t *found);

#endif
