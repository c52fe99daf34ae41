/* SPDX-License-Identifier: MIT
 * The product of two matrices whose rows lie one after the other. */
#ifndef BRAID_MATMUL_H
#define BRAID_MATMUL_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* c = a * b, computed in doubles; a has m rows of k, b k rows of n, c m rows of n; c lies apart from a and b. Each
 * element is the sum over k in its order, whatever the number of threads; whether a product is rounded before it is
 * added depends on the machine. On the team's thread. */
enum braid_status braid_matmul(struct braid_team *team, const struct braid_row *a, const struct braid_row *b,
                               struct braid_row *c, size_t m, size_t k, size_t n);

#endif
