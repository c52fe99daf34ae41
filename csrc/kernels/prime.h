/* SPDX-License-Identifier: MIT
 * Whether a number below 2^64 is a prime. Any thread; nothing blocks. */
#ifndef BRAID_PRIME_H
#define BRAID_PRIME_H

#include "core/work/crew.h"
#include "kernels/montgomery.h"

/* For n that is odd, above 1, and has no factor below 256: no trial division is made. */
bool braid_prime_test(const struct montgomery *m);

bool braid_prime_is(uint64_t n);

/* An odd prime p for divisions without dividing: n is a multiple of p when n * inverse <= most, and that product is
 * the quotient then. */
struct braid_divisor {
  uint64_t inverse, most;
  uint32_t prime;
};

enum { BRAID_DIVISORS = 53 };

/* Those of 3 to 251. */
extern const struct braid_divisor braid_divisors[BRAID_DIVISORS];

struct braid_prime_list {
  const uint64_t *numbers;
  size_t count;
  bool *primes; /* the answers */
};

/* A kernel: arguments is a braid_prime_list. */
void braid_prime_run(struct braid_team *team, void *arguments);

#endif
