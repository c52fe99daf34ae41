/* SPDX-License-Identifier: MIT
 * Small means: by inversion (Devroye, "Non-Uniform Random Variate Generation", 1986, chapter X). Means from 10 on: by
 * transformed rejection, in time that does not depend on the mean: PTRS in Hörmann, "The transformed rejection method
 * for generating Poisson random variables" (1993), and BTRS in Hörmann, "The generation of binomial random variates"
 * (1993). Both papers have the constants below. */
#include "kernels/count.h"

#include <math.h>

enum { SMALL_MEAN = 10 };

/* ---- uniform numbers --------------------------------------------------------------------------------------------- */

/* Philox 4x32, as in kernels/random.c, but the third word of the counter is the number of the block. */
static void philox(const struct braid_draws *draws, uint64_t numbers[2]) {
  uint32_t x0 = (uint32_t)draws->element, x1 = (uint32_t)(draws->element >> 32), x2 = draws->block, x3 = 0;
  uint32_t key0 = (uint32_t)draws->seed, key1 = (uint32_t)(draws->seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)x0 * 0xD2511F53u, b = (uint64_t)x2 * 0xCD9E8D57u;
    x0 = (uint32_t)(b >> 32) ^ x1 ^ key0;
    x1 = (uint32_t)b;
    x2 = (uint32_t)(a >> 32) ^ x3 ^ key1;
    x3 = (uint32_t)a;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  numbers[0] = (uint64_t)x1 << 32 | x0;
  numbers[1] = (uint64_t)x3 << 32 | x2;
}

/* 0 < u < 1 */
static double unit(uint64_t bits) { return ((double)(int64_t)(bits >> 12) + 0.5) * 0x1p-52; }

static double next(struct braid_draws *draws) {
  if (draws->half) {
    draws->half = false;
    return draws->second;
  }
  uint64_t numbers[2];
  draws->block++;
  philox(draws, numbers);
  draws->half = true;
  draws->second = unit(numbers[1]);
  return unit(numbers[0]);
}

/* log(k!) for whole k >= 0, by Stirling's series: its error is below 1e-10. lgamma writes a variable that all threads
 * share. */
static double log_factorial(double k) {
  static const double small[] = {0,
                                 0,
                                 0.69314718055994531,
                                 1.79175946922805500,
                                 3.17805383034794562,
                                 4.78749174278204599,
                                 6.57925121201010100,
                                 8.52516136106541430,
                                 10.6046029027452502,
                                 12.8018274800814696};
  if (k < 10) return small[(int)k];
  double x = k + 1, y = 1 / (x * x);
  double series = (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - y / 1680) * y) * y) / x;
  return (x - 0.5) * log(x) - x + 0.91893853320467274 + series;
}

/* ---- Poisson ----------------------------------------------------------------------------------------------------- */

/* Goes up from 0 until the sum of the probabilities exceeds u. */
static double small_poisson(const struct braid_count_setup *setup, struct braid_draws *draws) {
  double u = next(draws), p = exp(-setup->mean), k = 0;
  while (u > p && p > 0) {
    u -= p;
    p *= setup->mean / ++k;
  }
  return k;
}

/* PTRS. */
static double large_poisson(const struct braid_count_setup *setup, struct braid_draws *draws) {
  for (;;) {
    double u = next(draws) - 0.5, v = next(draws);
    double us = 0.5 - fabs(u), k = floor((2 * setup->a / us + setup->b) * u + setup->mean + 0.43);
    if (us >= 0.07 && v <= setup->vr) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    double left = log(v) + setup->log_scale - log(setup->a / (us * us) + setup->b);
    if (left <= k * log(setup->mean) - setup->mean - log_factorial(k)) return k;
  }
}

struct braid_count_setup braid_count_poisson(double mean) {
  struct braid_count_setup setup = {.draw = small_poisson, .mean = mean};
  if (mean < SMALL_MEAN) return setup;
  setup.draw = large_poisson;
  setup.b = 0.931 + 2.53 * sqrt(mean);
  setup.a = -0.059 + 0.02483 * setup.b;
  setup.log_scale = log(1.1239 + 1.1328 / (setup.b - 3.4));
  setup.vr = 0.9277 - 3.6224 / (setup.b - 2);
  return setup;
}

/* ---- binomial ---------------------------------------------------------------------------------------------------- */

static double small_binomial(const struct braid_count_setup *setup, struct braid_draws *draws) {
  double u = next(draws), p = setup->least, k = 0;
  while (u > p && k < setup->tries) {
    u -= p;
    k++;
    p *= setup->odds * (setup->tries - k + 1) / k;
  }
  return k;
}

/* BTRS. */
static double large_binomial(const struct braid_count_setup *setup, struct braid_draws *draws) {
  double n = setup->tries, m = setup->most_likely;
  for (;;) {
    double u = next(draws) - 0.5, v = next(draws);
    double us = 0.5 - fabs(u), k = floor((2 * setup->a / us + setup->b) * u + setup->mean);
    if (k < 0 || k > n) continue;
    if (us >= 0.07 && v <= setup->vr) return k;
    double left = log(v) + setup->log_scale - log(setup->a / (us * us) + setup->b);
    double right = setup->least - log_factorial(k) - log_factorial(n - k) + (k - m) * log(setup->odds);
    if (left <= right) return k;
  }
}

struct braid_count_setup braid_count_binomial(int64_t tries, double probability) {
  bool flipped = probability > 0.5;
  double n = (double)tries, p = flipped ? 1 - probability : probability, q = 1 - p;
  struct braid_count_setup setup = {.draw = small_binomial, .tries = n, .odds = p / q, .flipped = flipped};
  if (n * p < SMALL_MEAN) {
    setup.least = exp(n * log1p(-p));
    return setup;
  }
  double spread = sqrt(n * p * q);
  setup.draw = large_binomial;
  setup.b = 1.15 + 2.53 * spread;
  setup.a = -0.0873 + 0.0248 * setup.b + 0.01 * p;
  setup.mean = n * p + 0.5;
  setup.log_scale = log((2.83 + 5.1 / setup.b) * spread);
  setup.vr = 0.92 - 4.2 / setup.b;
  setup.most_likely = floor((n + 1) * p);
  setup.least = log_factorial(setup.most_likely) + log_factorial(n - setup.most_likely);
  return setup;
}

double braid_count_draw(const struct braid_count_setup *setup, struct braid_draws *draws) {
  double k = setup->draw(setup, draws);
  return setup->flipped ? setup->tries - k : k;
}
