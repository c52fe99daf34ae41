/* SPDX-License-Identifier: MIT
 * The i-th point depends only on the seed and i (SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable
 * pseudorandom number generators", 2014). So it does not matter which thread makes it. Coordinates have 31 bits. */
#include "kernels/circle.h"

#include "kernels/simd.h"

static inline uint64_t random_at(uint64_t seed, uint64_t i) {
  uint64_t z = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

BRAID_INLINE void throw_body(struct braid_circle *circle, size_t first, size_t last) {
  uint64_t inside = 0, seed = circle->seed;
  for (size_t i = first; i < last; i++) {
    uint64_t z = random_at(seed, i), x = z >> 33, y = z & INT32_MAX;
    inside += x * x + y * y < UINT64_C(1) << 62;
  }
  atomic_fetch_add_explicit(&circle->inside, inside, memory_order_relaxed);
}

BRAID_SIMD(throw, (struct braid_circle * circle, size_t first, size_t last), (circle, first, last))

static void throw_chunk(void *context, size_t first, size_t last) { throw(context, first, last); }

void braid_circle_run(struct braid_team *team, void *arguments) {
  enum { GRAIN = 1 << 18 };
  struct braid_circle *circle = arguments;
  braid_team_for(team, circle->points, GRAIN, throw_chunk, circle);
}
