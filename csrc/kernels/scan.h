/* SPDX-License-Identifier: MIT
 * Running sums: to[i] = from[0] + ... + from[i]; running products, minima and maxima. First each chunk is reduced; then
 * each is scanned, beginning with what the chunks before it give. So the result does not depend on the number of
 * threads, and running sums of numbers >= 0 never decrease. Products of floats are computed from left to right on one
 * thread: a chunk's own product could overflow where the running one does not. */
#ifndef BRAID_SCAN_H
#define BRAID_SCAN_H

#include "core/work/crew.h"
#include "kernels/row.h"

enum braid_scan_kind { BRAID_SCAN_SUM, BRAID_SCAN_PRODUCT, BRAID_SCAN_LEAST, BRAID_SCAN_MOST };

/* Floats to floats, integers to 64-bit integers (sums and products modulo 2^64). From a NaN on, all running minima and
 * maxima are NaN. `to` may be `from`. On the team's thread. */
enum braid_status braid_scan(struct braid_team *team, enum braid_scan_kind kind, const struct braid_row *from,
                             struct braid_row *to);

#endif
