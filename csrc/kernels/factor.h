/* SPDX-License-Identifier: MIT
 * Prime factors of numbers below 2^64. */
#ifndef BRAID_FACTOR_H
#define BRAID_FACTOR_H

#include "core/work/crew.h"

enum { BRAID_FACTORS_MOST = 63 };

/* Writes the prime factors of n (from 1) in ascending order, repeated by multiplicity. Returns their number. Any
 * thread; takes less than a millisecond. */
unsigned braid_factor(uint64_t n, uint64_t factors[BRAID_FACTORS_MOST]);

/* The same by trial division, up to the root of what is left. Takes about 10 s for the largest primes. Gives up when
 * the team is stopped. */
unsigned braid_factor_trial(struct braid_team *team, uint64_t n, uint64_t factors[BRAID_FACTORS_MOST]);

/* Factors of a list of numbers. rows[i] has the factors of the numbers from i * grain on, one number's after the
 * other's. */
struct braid_factor_list {
  const uint64_t *numbers;
  size_t count, grain;
  bool trial;
  uint8_t *counts; /* for each number: how many factors it has */
  uint64_t **rows; /* by malloc; NULL if empty */
  atomic_bool out_of_memory;
  struct braid_team *team; /* while it runs */
};

/* The kernel; `arguments` is a braid_factor_list. */
void braid_factor_run(struct braid_team *team, void *arguments);

#endif
