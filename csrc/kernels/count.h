/* SPDX-License-Identifier: MIT
 * Random whole numbers of Poisson's and the binomial distribution. A number of the one or the other needs some uniform
 * numbers; they are the draws of its element, so it depends only on the seed and the element. Any thread; nothing
 * blocks. */
#ifndef BRAID_COUNT_H
#define BRAID_COUNT_H

#include "core/base/base.h"

/* The uniform numbers of one element. Zeroes but for the first two fields. */
struct braid_draws {
  uint64_t seed, element;
  uint32_t block; /* of Philox: two numbers each; those of block 0 belong to the other distributions */
  bool half;      /* the second one is left */
  double second;
};

/* What all numbers of one distribution share. */
struct braid_count_setup {
  double (*draw)(const struct braid_count_setup *setup, struct braid_draws *draws);
  double mean, tries, odds; /* odds: p / (1 - p) */
  double a, b, vr, log_scale, most_likely, least;
  bool flipped; /* the number is tries less what was drawn, because p > 1/2 */
};

/* mean: finite, at least 0. */
struct braid_count_setup braid_count_poisson(double mean);

/* tries >= 0, 0 <= probability <= 1 */
struct braid_count_setup braid_count_binomial(int64_t tries, double probability);

double braid_count_draw(const struct braid_count_setup *setup, struct braid_draws *draws);

#endif
