/* SPDX-License-Identifier: MIT
 * Each block of elements has its own counters; each counter gives two 64-bit numbers. */
#include "kernels/random.h"

#include <math.h>

#include "kernels/count.h"
#include "kernels/simd.h"

enum { BLOCK = BRAID_ROW_BLOCK };

struct fill {
  const struct braid_random *random;
  struct braid_row *row;
};

/* Salmon and others, "Parallel random numbers: as easy as 1, 2, 3" (2011). The counters first, first + 1, ... give a
 * pair of numbers each: one in `left`, one in `right`. */
BRAID_INLINE void philox_body(uint64_t seed, uint64_t first, size_t pairs, uint64_t *restrict left,
                              uint64_t *restrict right) {
  for (size_t i = 0; i < pairs; i++) {
    uint64_t counter = first + i;
    uint32_t x0 = (uint32_t)counter, x1 = (uint32_t)(counter >> 32), x2 = 0, x3 = 0;
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
      uint64_t a = (uint64_t)x0 * 0xD2511F53u, b = (uint64_t)x2 * 0xCD9E8D57u;
      x0 = (uint32_t)(b >> 32) ^ x1 ^ key0;
      x1 = (uint32_t)b;
      x2 = (uint32_t)(a >> 32) ^ x3 ^ key1;
      x3 = (uint32_t)a;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    left[i] = (uint64_t)x1 << 32 | x0;
    right[i] = (uint64_t)x3 << 32 | x2;
  }
}
BRAID_SIMD(philox, (uint64_t seed, uint64_t first, size_t pairs, uint64_t *left, uint64_t *right),
           (seed, first, pairs, left, right))

/* 0 <= x < 1, a multiple of 2^-53. */
static inline double unit(uint64_t bits) { return (double)(int64_t)(bits >> 11) * 0x1p-53; }

static void uniform_numbers(const struct braid_random *random, const uint64_t *bits, size_t count, double *to) {
  double low = random->low, high = random->high, width = high - low;
  for (size_t i = 0; i < count; i++) {
    double x = low + unit(bits[i]) * width;
    to[i] = x < high ? x : low; /* x can be rounded up to high, once in 2^53 */
  }
}

/* The high half of bits * range. Each result has an equal share of 2^64, but for a relative error of range / 2^64. */
static void uniform_integers(const struct braid_random *random, const uint64_t *bits, size_t count, int64_t *to) {
  uint64_t least = (uint64_t)random->least, range = (uint64_t)random->most - least + 1; /* 0: all 2^64 integers */
  for (size_t i = 0; i < count; i++)
    to[i] = (int64_t)(least + (range ? (uint64_t)(((unsigned __int128)bits[i] * range) >> 64) : bits[i]));
}

/* Box and Muller: two numbers from two. */
static void normal_numbers(const struct braid_random *random, const uint64_t *left, const uint64_t *right, size_t pairs,
                           double *to) {
  for (size_t i = 0; i < pairs; i++) {
    double radius = random->deviation * sqrt(-2 * log(1 - unit(left[i])));
    double angle = 6.283185307179586 * unit(right[i]);
    to[i] = random->mean + radius * cos(angle);
    to[pairs + i] = random->mean + radius * sin(angle);
  }
}

/* By inversion: -log(1 - u) is at least 0, and finite. */
static void exponential_numbers(double mean, const uint64_t *bits, size_t count, double *to) {
  for (size_t i = 0; i < count; i++) to[i] = mean * -log1p(-unit(bits[i]));
}

/* Each element has counters of its own, because it needs some numbers, not one. */
static void count_numbers(const struct braid_random *random, size_t at, size_t count, double *to) {
  struct braid_count_setup setup = random->distribution == BRAID_POISSON
                                       ? braid_count_poisson(random->mean)
                                       : braid_count_binomial(random->tries, random->probability);
  for (size_t i = 0; i < count; i++) {
    struct braid_draws draws = {.seed = random->seed, .element = at + i};
    to[i] = braid_count_draw(&setup, &draws);
  }
}

/* Blocks begin at multiples of their size. A block has the left numbers of its pairs, then the right ones. */
static void fill_block(struct fill *this, size_t at, size_t count) {
  const struct braid_random *random = this->random;
  uint64_t bits[BLOCK];
  double numbers[BLOCK];
  if (random->distribution >= BRAID_POISSON) {
    count_numbers(random, at, count, numbers);
    braid_row_set_doubles(this->row, at, count, numbers);
    return;
  }
  philox(random->seed, at / 2, BLOCK / 2, bits, bits + BLOCK / 2);
  if (random->distribution == BRAID_UNIFORM && !braid_row_is_float(this->row->type)) {
    int64_t integers[BLOCK];
    uniform_integers(random, bits, count, integers);
    braid_row_set_integers(this->row, at, count, integers);
    return;
  }
  if (random->distribution == BRAID_UNIFORM)
    uniform_numbers(random, bits, count, numbers);
  else if (random->distribution == BRAID_EXPONENTIAL)
    exponential_numbers(random->mean, bits, count, numbers);
  else
    normal_numbers(random, bits, bits + BLOCK / 2, BLOCK / 2, numbers);
  if (!braid_row_is_float(this->row->type))
    for (size_t i = 0; i < count; i++) numbers[i] = rint(numbers[i]);
  braid_row_set_doubles(this->row, at, count, numbers);
}

static void fill_chunk(void *context, size_t first, size_t last) {
  for (size_t at = first; at < last; at += BLOCK) fill_block(context, at, last - at < BLOCK ? last - at : BLOCK);
}

enum braid_status braid_random_fill(struct braid_team *team, const struct braid_random *random, struct braid_row *row) {
  struct fill this = {random, row};
  return braid_team_for(team, row->count, BRAID_ROW_CHUNK, fill_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
}
