/* SPDX-License-Identifier: MIT
 * Running sums: to[i] = from[0] + ... + from[i]. First each chunk is summed; then each is scanned, beginning with the
 * sum of the chunks before it. So the result does not depend on the number of threads, and running sums of numbers >= 0
 * never decrease. */
#ifndef BRAID_SCAN_H
#define BRAID_SCAN_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* Floats to floats, integers to 64-bit integers (modulo 2^64). `to` may be `from`. On the team's thread. */
enum braid_status braid_scan(struct braid_team *team, const struct braid_row *from, struct braid_row *to);

#endif
