/* SPDX-License-Identifier: MIT
 * One elliptic curve of H. W. Lenstra's factoring method ("Factoring integers with elliptic curves", 1987), in the form
 * of P. L. Montgomery ("Speeding the Pollard and elliptic curve methods of factorization", 1987). Any thread; nothing
 * blocks. */
#ifndef BRAID_CURVE_H
#define BRAID_CURVE_H

#include "kernels/montgomery.h"

/* The greatest common divisor; that of 0 and b is b. b is odd. */
uint64_t braid_curve_gcd(uint64_t a, uint64_t b);

/* Tries the sigma-th curve (6 and more) on an odd number: a divisor, which is 1 or n itself when it was in vain. It
 * finds a prime p when the curve's group modulo p has an order whose prime powers are below 150, but for one prime
 * below 5,150: of primes with 32 bits that is one in seven. Some 7 us. */
uint64_t braid_curve_try(const struct montgomery *m, uint64_t sigma);

#endif
