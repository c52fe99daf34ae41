/* SPDX-License-Identifier: MIT
 * Curves y^2 = x^3 + a x^2 + x of H. Suyama's family, whose group orders are multiples of 12. A point is x/z; y is not
 * needed. A multiple of a point that is neutral modulo p, but not modulo n, has a z that shares the divisor p with n.
 * Values are in Montgomery form. */
#include "kernels/curve.h"

struct point {
  uint64_t x, z;
};

struct curve {
  struct montgomery m;
  uint64_t a; /* (a + 2) / 4 */
};

uint64_t braid_curve_gcd(uint64_t a, uint64_t b) {
  while (a) {
    a >>= __builtin_ctzll(a);
    uint64_t less = a < b ? a : b;
    a = a < b ? b - a : a - b;
    b = less;
  }
  return b;
}

/* 1/x modulo n, valid if *divisor becomes 1. *divisor is the greatest common divisor of x and n. */
static uint64_t invert(const struct montgomery *m, uint64_t x, uint64_t *divisor) {
  uint64_t a = m->n, b = x, s = 0, t = 1;
  bool negative = false; /* the sign of t; s has the other one */
  while (b) {
    uint64_t quotient = a / b, rest = a - quotient * b, next = s + quotient * t;
    a = b, b = rest;
    s = t, t = next;
    negative = !negative;
  }
  *divisor = a;
  uint64_t inverse = negative ? s : m->n - s;
  return montgomery_mul(m, montgomery_mul(m, inverse, m->square), m->square);
}

static inline struct point twice(const struct curve *curve, struct point p) {
  const struct montgomery *m = &curve->m;
  uint64_t sum = montgomery_add(m, p.x, p.z), difference = montgomery_sub(m, p.x, p.z);
  sum = montgomery_mul(m, sum, sum);
  difference = montgomery_mul(m, difference, difference);
  uint64_t cross = montgomery_sub(m, sum, difference);
  uint64_t z = montgomery_add(m, difference, montgomery_mul(m, cross, curve->a));
  return (struct point){montgomery_mul(m, sum, difference), montgomery_mul(m, cross, z)};
}

/* p + q, where p - q = (x : 1). */
static inline struct point plus_from(const struct montgomery *m, struct point p, struct point q, uint64_t x) {
  uint64_t a = montgomery_mul(m, montgomery_sub(m, p.x, p.z), montgomery_add(m, q.x, q.z));
  uint64_t b = montgomery_mul(m, montgomery_add(m, p.x, p.z), montgomery_sub(m, q.x, q.z));
  uint64_t sum = montgomery_add(m, a, b), difference = montgomery_sub(m, a, b);
  difference = montgomery_mul(m, difference, difference);
  return (struct point){montgomery_mul(m, sum, sum), montgomery_mul(m, difference, x)};
}

/* p + q, where p - q = d. */
static inline struct point plus(const struct montgomery *m, struct point p, struct point q, struct point d) {
  struct point sum = plus_from(m, p, q, d.x);
  sum.x = montgomery_mul(m, sum.x, d.z);
  return sum;
}

/* Makes the curve number `sigma` and the x of a point on it. Returns the greatest common divisor of its denominators
 * and n. */
static uint64_t begin(struct curve *curve, uint64_t sigma, uint64_t *x) {
  const struct montgomery *m = &curve->m;
  uint64_t two = montgomery_add(m, m->one, m->one), four = montgomery_add(m, two, two), divisor;
  uint64_t s = montgomery_in(m, sigma), v = montgomery_mul(m, four, s);
  uint64_t u = montgomery_sub(m, montgomery_mul(m, s, s), montgomery_add(m, four, m->one));
  uint64_t u3 = montgomery_mul(m, montgomery_mul(m, u, u), u), v3 = montgomery_mul(m, montgomery_mul(m, v, v), v);
  uint64_t below = montgomery_mul(m, montgomery_mul(m, four, four), montgomery_mul(m, u3, v)); /* 16 u^3 v */
  uint64_t inverse = invert(m, montgomery_mul(m, below, v3), &divisor);
  uint64_t d = montgomery_sub(m, v, u), d3 = montgomery_mul(m, montgomery_mul(m, d, d), d);
  uint64_t sum = montgomery_add(m, montgomery_add(m, montgomery_add(m, u, u), u), v); /* 3 u + v */
  curve->a = montgomery_mul(m, montgomery_mul(m, d3, sum), montgomery_mul(m, inverse, v3));
  *x = montgomery_mul(m, u3, montgomery_mul(m, inverse, below));
  return divisor;
}

/* Stage one: multiplies (x : 1) by the least common multiple of 1 to 150. */
static struct point climb(const struct curve *curve, uint64_t x) {
  enum { BITS = 212 };
  static const uint64_t multiple[] = {UINT64_C(0x382e2badc3845980), UINT64_C(0xc219bdbc2fdc5186),
                                      UINT64_C(0x5d1ee9ff2005c71b), UINT64_C(0xc10da)};
  struct point low = {x, curve->m.one}, high = twice(curve, low);
  for (int bit = BITS - 2; bit >= 0; bit--) {
    struct point sum = plus_from(&curve->m, low, high, x);
    if (multiple[bit / 64] >> (bit % 64) & 1) {
      low = sum;
      high = twice(curve, high);
    } else {
      high = sum;
      low = twice(curve, low);
    }
  }
  return low;
}

enum { STRIDE = 210, STEPS = 24, PLACES = 24 }; /* of stage two; 24 numbers below 105 are coprime to 210 */

/* Computes q times each number below 105 that is coprime to 210: 1, 11, 13, ... 103. Returns 210 q. */
static struct point spread(const struct curve *curve, struct point q, struct point places[PLACES]) {
  enum { ROW = 35 };
  struct point row[ROW];
  const struct montgomery *m = &curve->m;
  struct point q2 = twice(curve, q), q3 = plus(m, q2, q, q), q6 = twice(curve, q3);
  int count = 0;
  row[0] = q;
  row[1] = plus(m, q3, q2, q);
  row[2] = plus(m, q6, row[0], row[1]);
  row[3] = plus(m, q6, row[1], row[0]);
  for (int i = 4; i < ROW; i++) row[i] = plus(m, row[i - 2], q6, row[i - 4]);
  for (int i = 0; i < ROW; i++) {
    int multiple = 3 * i + 1 + i % 2;
    if (multiple % 5 && multiple % 7) places[count++] = row[i];
  }
  return twice(curve, plus(m, row[ROW - 1], q2, row[ROW - 2]));
}

/* Stage two. The product is 0 modulo p if (210 i + j) q or (210 i - j) q is neutral modulo p for some i up to 24. */
static uint64_t stride(const struct curve *curve, struct point q) {
  const struct montgomery *m = &curve->m;
  struct point places[PLACES], step = spread(curve, q, places), before = step, at = step;
  uint64_t products[PLACES], result = m->one;
  for (int j = 0; j < PLACES; j++) products[j] = montgomery_mul(m, places[j].x, places[j].z);
  for (int i = 0; i < STEPS; i++) {
    uint64_t product = montgomery_mul(m, at.x, at.z);
    for (int j = 0; j < PLACES; j++) { /* x z' - x' z */
      uint64_t x = montgomery_sub(m, at.x, places[j].x), z = montgomery_add(m, at.z, places[j].z);
      uint64_t rest = montgomery_sub(m, product, products[j]);
      result = montgomery_mul(m, result, montgomery_sub(m, montgomery_mul(m, x, z), rest));
    }
    struct point next = i == 0 ? twice(curve, step) : plus(m, at, step, before);
    before = at;
    at = next;
  }
  return result;
}

uint64_t braid_curve_try(const struct montgomery *m, uint64_t sigma) {
  struct curve curve = {.m = *m};
  uint64_t x, divisor = begin(&curve, sigma, &x);
  if (divisor != 1) return divisor;
  struct point q = climb(&curve, x);
  divisor = braid_curve_gcd(q.z, m->n);
  return divisor == 1 ? braid_curve_gcd(stride(&curve, q), m->n) : divisor;
}
