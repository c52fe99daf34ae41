/* SPDX-License-Identifier: MIT
 * Counts how many elements fall into each of several bins of equal width. */
#ifndef BRAID_HISTOGRAM_H
#define BRAID_HISTOGRAM_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* Writes bins + 1 edges: edge i is low + i * (high - low) / bins, and the last one is high. If low and high are
 * integers and the bins are of an integer width, the edges are exact. low < high, and high - low is finite. */
void braid_histogram_edges(double low, double high, size_t bins, double *edges);

/* Writes `bins` counts: bin i has the elements x with edge[i] <= x < edge[i + 1]; the last bin also has x = high. Other
 * elements, and NaN, are not counted. The edges come from braid_histogram_edges. On the team's thread. */
enum braid_status braid_histogram(struct braid_team *team, const struct braid_row *row, const double *edges,
                                  size_t bins, int64_t *counts);

#endif
