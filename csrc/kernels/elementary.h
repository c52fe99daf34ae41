/* SPDX-License-Identifier: MIT
 * exp, log, sin and cos without branches, so that the compiler can vectorize loops over them. The argument is reduced
 * to a short interval; then a series is summed. Errors are below 1 unit in the last place, of sin and cos below
 * 2.5. The bits are the same on every machine if the compiler does not fuse multiplications and additions. Any thread;
 * nothing blocks. */
#ifndef BRAID_ELEMENTARY_H
#define BRAID_ELEMENTARY_H

#include <math.h>
#include <stdint.h>

#include "kernels/simd.h"

BRAID_INLINE uint64_t elementary_bits(double x) {
  uint64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

BRAID_INLINE double elementary_double(uint64_t bits) {
  double x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

/* Add this to a number below 2^51: the lowest bits of the sum are the nearest integer. */
#define ELEMENTARY_ROUND 0x1.8p52

/* exp(x) = 2^k * exp(r), |r| <= ln(2) / 2. It multiplies by 2^k in two steps, so that subnormal results are right. */
BRAID_INLINE double elementary_exp(double x) {
  static const double terms[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0,
                                 1 / 362880.0,     1 / 40320.0,     1 / 5040.0,     1 / 720.0,
                                 1 / 120.0,        1 / 24.0,        1 / 6.0,        0.5};
  double inside = x > 720 ? 720 : x < -760 ? -760 : x; /* NaN stays */
  double shifted = inside * 0x1.71547652b82fep0 + ELEMENTARY_ROUND;
  double k = shifted - ELEMENTARY_ROUND;
  double r = (inside - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
  double sum = terms[0];
  for (int i = 1; i < 12; i++) sum = sum * r + terms[i];
  double result = 1 + (r + r * r * sum);
  uint64_t power = elementary_bits(shifted) - elementary_bits(ELEMENTARY_ROUND) + 4096, half = power >> 1;
  double first = elementary_double((half - 2048 + 1023) << 52);
  double second = elementary_double((power - half - 2048 + 1023) << 52);
  return result * first * second;
}

/* log(x) = e * ln(2) + log(1 + f), where 1 + f is from sqrt(1/2) to sqrt(2). Sums the series of artanh(f / (2 + f)). */
BRAID_INLINE double elementary_log(double x) {
  double scaled = x < 0x1p-1022 ? x * 0x1p54 : x;
  uint64_t bits = elementary_bits(scaled) - elementary_bits(0x1.6a09e667f3bcdp-1) + ((uint64_t)2048 << 52);
  double e = elementary_double((bits >> 52) | elementary_bits(0x1p52)) - (0x1p52 + 2048) - (x < 0x1p-1022 ? 54 : 0);
  double m = elementary_double((bits & ((UINT64_C(1) << 52) - 1)) + elementary_bits(0x1.6a09e667f3bcdp-1));
  double f = m - 1, s = f / (2 + f), z = s * s, half = 0.5 * f * f;
  double sum = 2.0 / 25;
  for (int i = 23; i >= 3; i -= 2) sum = sum * z + 2.0 / i;
  double rest = s * (half + z * sum) + e * 0x1.a39ef35793c76p-33;
  double result = e * 0x1.62e42feep-1 - ((half - rest) - f);
  result = x == INFINITY ? x : result;
  result = x == 0 ? -INFINITY : result;
  return x >= 0 ? result : NAN;
}

/* Up to this |x| the reduction of elementary_sin is exact enough. */
#define ELEMENTARY_FAR 1e5

/* sin(x + quarter * pi / 2) for |x| <= ELEMENTARY_FAR. x = k * pi / 2 + r, |r| <= pi / 4. */
BRAID_INLINE double elementary_sin(double x, uint64_t quarter) {
  static const double odd[] = {1 / 355687428096000.0, -1 / 1307674368000.0, 1 / 6227020800.0, -1 / 39916800.0,
                               1 / 362880.0,          -1 / 5040.0,          1 / 120.0,        -1 / 6.0};
  static const double even[] = {1 / 20922789888000.0, -1 / 87178291200.0, 1 / 479001600.0, -1 / 3628800.0,
                                1 / 40320.0,          -1 / 720.0,         1 / 24.0,        -0.5};
  double shifted = x * 0x1.45f306dc9c883p-1 + ELEMENTARY_ROUND;
  double k = shifted - ELEMENTARY_ROUND;
  double r = ((x - k * 0x1.921fb544p0) - k * 0x1.0b4611a6p-34) - k * 0x1.3198a2e037073p-69;
  double z = r * r, sine = odd[0], cosine = even[0];
  for (int i = 1; i < 8; i++) {
    sine = sine * z + odd[i];
    cosine = cosine * z + even[i];
  }
  sine = z == 0 ? r : r + r * z * sine; /* a zero keeps its sign */
  cosine = 1 + z * cosine;
  uint64_t turn = elementary_bits(shifted) + quarter;
  double result = turn & 1 ? cosine : sine;
  return elementary_double(elementary_bits(result) ^ (turn & 2) << 62);
}

#endif
