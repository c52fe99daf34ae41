/* SPDX-License-Identifier: MIT
 * Arithmetic modulo an odd n < 2^64 without divisions (P. L. Montgomery, "Modular multiplication without trial
 * division", 1985). A number v is represented as v * 2^64 modulo n. All values are below n. Any thread; nothing
 * blocks. */
#ifndef BRAID_MONTGOMERY_H
#define BRAID_MONTGOMERY_H

#include "core/base/base.h"

__extension__ typedef unsigned __int128 braid_wide;

struct montgomery {
  uint64_t n, inverse; /* n * inverse = 1 modulo 2^64 */
  uint64_t one;        /* represents 1 */
  uint64_t square;     /* represents 2^64; multiplying by it converts a number into this form */
};

static inline uint64_t montgomery_mul(const struct montgomery *m, uint64_t a, uint64_t b) {
  braid_wide product = (braid_wide)a * b;
  uint64_t low = (uint64_t)product * m->inverse, high = (uint64_t)(product >> 64);
  uint64_t back = (uint64_t)(((braid_wide)low * m->n) >> 64), result = high - back;
  return high < back ? result + m->n : result;
}

static inline uint64_t montgomery_sub(const struct montgomery *m, uint64_t a, uint64_t b) {
  uint64_t result = a - b;
  return a < b ? result + m->n : result;
}

static inline uint64_t montgomery_add(const struct montgomery *m, uint64_t a, uint64_t b) {
  return montgomery_sub(m, a, m->n - b);
}

static inline struct montgomery montgomery_of(uint64_t n) {
  struct montgomery m = {.n = n, .inverse = (3 * n) ^ 2}; /* 5 bits are right; each step doubles that */
  for (int i = 0; i < 4; i++) m.inverse *= 2 - n * m.inverse;
  m.one = (0 - n) % n;
  m.square = montgomery_add(&m, m.one, m.one);
  for (int bits = 1; bits < 64; bits *= 2) m.square = montgomery_mul(&m, m.square, m.square); /* 2, 4, 16 ... 2^64 */
  return m;
}

static inline uint64_t montgomery_in(const struct montgomery *m, uint64_t value) {
  return montgomery_mul(m, value % m->n, m->square);
}

#endif
