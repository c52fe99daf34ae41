/* SPDX-License-Identifier: MIT
 * How many elements fall into each of equally wide bins. */
#ifndef BRAID_HISTOGRAM_H
#define BRAID_HISTOGRAM_H

#include "../core/parallel.h"
#include "row.h"

/* The border below bin `bin` of `bins` between low and high; that of bin `bins` is high. */
static inline double braid_histogram_edge(double low, double high, size_t bins, size_t bin) {
  if (bin == bins) return high;
  double part = (double)bin / (double)bins;
  return low * (1 - part) + high * part;
}

/* Into counts, `bins` places: elements x with edge[i] <= x < edge[i + 1], in the last bin also x = high. Others, and
 * NaN, are left out. low < high, both finite. On the team's thread. */
enum braid_status braid_histogram(struct braid_team *team, const struct braid_row *row, double low, double high,
                                  size_t bins, int64_t *counts);

#endif
