/* SPDX-License-Identifier: MIT
 * Each thread of the team counts into its own array; the arrays are added at the end. The element's distance from the
 * first edge gives a guess of its bin; comparing with the edges makes it exact. */
#include "kernels/histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct histogram {
  const struct braid_row *row;
  const double *edges;
  double stretch, scale; /* distance * stretch * scale is the bin */
  size_t bins;
  uint64_t *counts; /* one array of bins for each seat */
};

void braid_histogram_edges(double low, double high, size_t bins, double *edges) {
  double width = high - low, fit = width > DBL_MAX / (double)bins ? 1 / (double)bins : 1; /* i * width stays finite */
  for (size_t i = 0; i < bins; i++) {
    double edge = low + (double)i * (width * fit) / ((double)bins * fit);
    edges[i] = edge < high ? edge : high;
  }
  edges[bins] = high;
}

/* The last bin that begins at or below x. If the range has fewer doubles than bins, several bins begin at the same
 * number. */
static size_t search(const double *edges, size_t bins, double x) {
  size_t first = 0, count = bins - 1;
  while (count > 0) {
    size_t half = (count + 1) / 2;
    if (x >= edges[first + half]) {
      first += half;
      count -= half;
    } else {
      count = half - 1;
    }
  }
  return first;
}

/* The bin of x, which is between the first and the last edge. Rounding makes the guess wrong by a few bins at most. */
static inline size_t bin_of(const double *edges, size_t bins, size_t guess, double x) {
  enum { FEW = 4 };
  size_t bin = guess;
  while (bin > 0 && x < edges[bin]) {
    if (guess - --bin > FEW) return search(edges, bins, x);
  }
  while (bin + 1 < bins && x >= edges[bin + 1]) {
    if (++bin - guess > FEW && bin > guess) return search(edges, bins, x);
  }
  return bin;
}

static void count_chunk(void *context, size_t first, size_t last) {
  struct histogram *this = context;
  uint64_t *counts = this->counts + braid_team_seat() * this->bins;
  const double *edges = this->edges;
  double buffer[BRAID_ROW_BLOCK], stretch = this->stretch, scale = this->scale;
  size_t bins = this->bins;
  double low = edges[0], high = edges[bins];
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    const double *values = braid_row_doubles(this->row, at, count, buffer);
    for (size_t i = 0; i < count; i++) {
      double x = values[i];
      if (!(x >= low && x <= high)) continue;
      double guess = (x - low) * stretch * scale;
      counts[bin_of(edges, bins, guess < (double)bins ? (size_t)guess : bins - 1, x)]++;
    }
  }
}

enum braid_status braid_histogram(struct braid_team *team, const struct braid_row *row, const double *edges,
                                  size_t bins, int64_t *counts) {
  size_t seats = braid_team_size(team);
  double width = edges[bins] - edges[0], stretch = ldexp(1, -ilogb(width) / 2); /* two factors: neither overflows */
  struct histogram this = {row, edges, stretch, (double)bins / (width * stretch), bins, NULL};
  this.counts = calloc(seats * bins, sizeof *this.counts);
  if (!this.counts) return BRAID_NO_MEMORY;
  bool whole = braid_team_for(team, row->count, BRAID_ROW_CHUNK, count_chunk, &this);
  for (size_t bin = 0; bin < bins; bin++) {
    uint64_t sum = 0;
    for (size_t seat = 0; seat < seats; seat++) sum += this.counts[seat * bins + bin];
    counts[bin] = (int64_t)sum;
  }
  free(this.counts);
  return whole ? BRAID_OK : BRAID_CANCELLED;
}
