/* SPDX-License-Identifier: MIT
 * Primality of numbers below 2^64. Any thread; nothing blocks. */
#ifndef BRAID_PRIME_H
#define BRAID_PRIME_H

#include "core/work/crew.h"
#include "kernels/montgomery.h"

/* Tests an odd n > 1 that has no factor below 256. */
bool braid_prime_test(const struct montgomery *m);

bool braid_prime_is(uint64_t n);

/* Divisibility by an odd prime p without a division: n is a multiple of p if n * inverse <= most, and that product is
 * then the quotient. */
struct braid_divisor {
  uint64_t inverse, most;
  uint32_t prime;
};

enum { BRAID_DIVISORS = 53 };

/* For the primes from 3 to 251. */
extern const struct braid_divisor braid_divisors[BRAID_DIVISORS];

struct braid_prime_list {
  const uint64_t *numbers;
  size_t count;
  bool *primes; /* the results */
};

/* The kernel; `arguments` is a braid_prime_list. */
void braid_prime_run(struct braid_team *team, void *arguments);

#endif
