/* SPDX-License-Identifier: MIT
 * The product of two matrices, stored row by row. */
#ifndef BRAID_MATMUL_H
#define BRAID_MATMUL_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* c = a * b, computed in doubles. a is m x k, b is k x n, c is m x n and overlaps neither. Each element is summed over
 * k in ascending order, whatever the number of threads. Whether the compiler fuses multiplication and addition (which
 * rounds once) depends on the machine. On the team's thread. */
enum braid_status braid_matmul(struct braid_team *team, const struct braid_row *a, const struct braid_row *b,
                               struct braid_row *c, size_t m, size_t k, size_t n);

#endif
