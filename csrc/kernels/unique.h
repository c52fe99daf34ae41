/* SPDX-License-Identifier: MIT
 * Finds runs of equal elements in a sorted row. */
#ifndef BRAID_UNIQUE_H
#define BRAID_UNIQUE_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* Writes the first element of each run into `values` (the row's type), the run's length into `counts`, and the number
 * of runs into *found. If `values` is NULL, only *found is set. All NaN are equal; -0.0 equals 0.0. On the team's
 * thread. */
enum braid_status braid_unique(struct braid_team *team, const struct braid_row *sorted, struct braid_row *values,
                               int64_t *counts, size_t *found);

#endif
