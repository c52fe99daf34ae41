/* SPDX-License-Identifier: MIT
 * How many elements fall into each of equally wide bins. */
#ifndef BRAID_HISTOGRAM_H
#define BRAID_HISTOGRAM_H

#include "core/work/crew.h"
#include "kernels/row.h"

/* Into edges, bins + 1 places: the border below bin i is low + i * (high - low) / bins, so that integers between
 * integers that far apart are borders themselves; the last one is high. low < high, high - low finite. */
void braid_histogram_edges(double low, double high, size_t bins, double *edges);

/* Into counts, `bins` places: elements x with edge[i] <= x < edge[i + 1], in the last bin also x = high. Others, and
 * NaN, are left out. The edges are as above. On the team's thread. */
enum braid_status braid_histogram(struct braid_team *team, const struct braid_row *row, const double *edges,
                                  size_t bins, int64_t *counts);

#endif
