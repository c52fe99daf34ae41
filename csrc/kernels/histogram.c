/* SPDX-License-Identifier: MIT
 * Each thread of the team counts in a row of its own; the rows are added up at the end. */
#include "histogram.h"

#include <stdlib.h>
#include <string.h>

struct histogram {
  const struct braid_row *row;
  double low, high, scale;
  const double *edges;
  size_t bins;
  uint64_t *counts; /* a row of bins for each seat */
};

static void count_chunk(void *context, size_t first, size_t last) {
  struct histogram *this = context;
  uint64_t *counts = this->counts + braid_team_seat() * this->bins;
  const double *edges = this->edges;
  double buffer[BRAID_ROW_BLOCK], low = this->low, high = this->high, scale = this->scale;
  size_t bins = this->bins;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    const double *values = braid_row_doubles(this->row, at, count, buffer);
    for (size_t i = 0; i < count; i++) {
      double x = values[i];
      if (!(x >= low && x <= high)) continue;
      double guess = (x * 0.5 - low * 0.5) * scale;
      size_t bin = guess < (double)bins ? (size_t)guess : bins - 1;
      while (bin > 0 && x < edges[bin]) bin--; /* rounding: at most a few */
      while (bin + 1 < bins && x >= edges[bin + 1]) bin++;
      counts[bin]++;
    }
  }
}

enum braid_status braid_histogram(struct braid_team *team, const struct braid_row *row, double low, double high,
                                  size_t bins, int64_t *counts) {
  size_t seats = braid_team_size(team);
  double *edges = malloc((bins + 1) * sizeof *edges);
  struct histogram this = {row, low, high, (double)bins / (high * 0.5 - low * 0.5), edges, bins, NULL};
  this.counts = calloc(seats * bins, sizeof *this.counts);
  enum braid_status status = BRAID_NO_MEMORY;
  if (edges && this.counts) {
    for (size_t bin = 0; bin <= bins; bin++) edges[bin] = braid_histogram_edge(low, high, bins, bin);
    status = braid_team_for(team, row->count, BRAID_ROW_CHUNK, count_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
    for (size_t bin = 0; bin < bins; bin++) {
      uint64_t sum = 0;
      for (size_t seat = 0; seat < seats; seat++) sum += this.counts[seat * bins + bin];
      counts[bin] = (int64_t)sum;
    }
  }
  free(this.counts);
  free(edges);
  return status;
}
