/* SPDX-License-Identifier: MIT
 * Counter-based random numbers (Philox 4x32, 10 rounds): the i-th number depends only on the seed and i. Exponential
 * numbers are by inversion; Poisson and binomial ones by kernels/count.h. */
#ifndef BRAID_RANDOM_H
#define BRAID_RANDOM_H

#include "core/work/crew.h"
#include "kernels/row.h"

enum braid_distribution {
  BRAID_UNIFORM, /* floats: low <= x < high. Integers: low <= x <= high */
  BRAID_NORMAL,  /* floats; integers are rounded to the nearest */
  BRAID_EXPONENTIAL,
  BRAID_POISSON, /* whole numbers, as floats or integers */
  BRAID_BINOMIAL,
};

struct braid_random {
  uint64_t seed;
  enum braid_distribution distribution;
  double low, high;       /* UNIFORM, of floats */
  int64_t least, most;    /* UNIFORM, of integers (the bits of u64) */
  double mean, deviation; /* NORMAL; mean also of EXPONENTIAL and POISSON */
  int64_t tries;          /* BINOMIAL */
  double probability;
};

/* Fills the row. On the team's thread. */
enum braid_status braid_random_fill(struct braid_team *team, const struct braid_random *random, struct braid_row *row);

#endif
