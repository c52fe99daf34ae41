/* SPDX-License-Identifier: MIT
 * One elliptic curve of H. W. Lenstra's factoring method ("Factoring integers with elliptic curves", 1987), in the form
 * of P. L. Montgomery ("Speeding the Pollard and elliptic curve methods of factorization", 1987). Any thread; nothing
 * blocks. */
#ifndef BRAID_CURVE_H
#define BRAID_CURVE_H

#include "kernels/montgomery.h"

/* The greatest common divisor; that of 0 and b is b. b is odd. */
uint64_t braid_curve_gcd(uint64_t a, uint64_t b);

/* Tries the curve number `sigma` (from 6) on an odd number. Returns a divisor, which is 1 or n itself if the curve
 * found none. It finds a prime p if the order of the curve's group modulo p has only prime powers below 150 and at most
 * one prime below 5,150. That is true for one in seven 32-bit primes. Takes about 7 us. */
uint64_t braid_curve_try(const struct montgomery *m, uint64_t sigma);

#endif
