/* SPDX-License-Identifier: MIT
 * Prime factors of numbers below 2^64. */
#ifndef BRAID_FACTOR_H
#define BRAID_FACTOR_H

#include "core/work/crew.h"

enum { BRAID_FACTORS_MOST = 63 };

/* Writes the prime factors of n (1 and more) in ascending order, each as often as it divides; how many. Any thread;
 * takes less than a millisecond. */
unsigned braid_factor(uint64_t n, uint64_t factors[BRAID_FACTORS_MOST]);

/* The same by trying all divisors from 2 on to the root of what is left. Some 10 s for the largest primes; gives up
 * when the team is stopped. */
unsigned braid_factor_trial(struct braid_team *team, uint64_t n, uint64_t factors[BRAID_FACTORS_MOST]);

/* A list of numbers. The factors are found in rows: row i has those of the numbers from i * grain on, one after the
 * other. */
struct braid_factor_list {
  const uint64_t *numbers;
  size_t count, grain;
  bool trial;
  uint8_t *counts; /* of factors, for each number */
  uint64_t **rows; /* by malloc; NULL where there are none */
  atomic_bool out_of_memory;
  struct braid_team *team; /* while it runs */
};

/* The kernel: arguments is a braid_factor_list. */
void braid_factor_run(struct braid_team *team, void *arguments);

#endif
