/* SPDX-License-Identifier: MIT
 * Moving windows over a row of doubles, and convolution. On the team's thread; with team NULL on the caller's. */
#ifndef BRAID_WINDOW_H
#define BRAID_WINDOW_H

#include "core/work/crew.h"
#include "kernels/row.h"

enum braid_window_value { BRAID_WINDOW_SUM, BRAID_WINDOW_LEAST, BRAID_WINDOW_MOST };

/* out[i] is the value of the `width` numbers from i on; out has count - width + 1 doubles. A sum is computed anew every
 * 1,024 windows, so errors do not grow with the length. LEAST and MOST: NaN if there is one. */
enum braid_status braid_window(struct braid_team *team, const double *values, size_t count, size_t width,
                               enum braid_window_value what, double *out);

/* out[i] is the sum of a[j] * b[i + first - j], for `count` numbers i from 0 on. */
enum braid_status braid_convolve(struct braid_team *team, const double *a, size_t a_count, const double *b,
                                 size_t b_count, size_t first, size_t count, double *out);

#endif
