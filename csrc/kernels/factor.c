/* SPDX-License-Identifier: MIT
 * Divides by small primes, tests for primality, then splits: small numbers by R. P. Brent's variant of J. M. Pollard's
 * rho method ("An improved Monte Carlo factorization algorithm", 1980), larger ones by elliptic curves. */
#include "kernels/factor.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/curve.h"
#include "kernels/prime.h"

struct factors {
  uint64_t *list;
  unsigned count;
};

static void add(struct factors *found, uint64_t prime) {
  unsigned at = found->count++;
  for (; at > 0 && found->list[at - 1] > prime; at--) found->list[at] = found->list[at - 1];
  found->list[at] = prime;
}

/* Divides n by its prime factors below 256. Returns the rest. */
static uint64_t take_small(struct factors *found, uint64_t n) {
  for (; n % 2 == 0; n /= 2) add(found, 2);
  for (int i = 0; i < BRAID_DIVISORS; i++) {
    uint64_t quotient;
    while ((quotient = n * braid_divisors[i].inverse) <= braid_divisors[i].most) {
      add(found, braid_divisors[i].prime);
      n = quotient;
    }
  }
  return n;
}

static inline uint64_t step(const struct montgomery *m, uint64_t y, uint64_t c) {
  return montgomery_add(m, montgomery_mul(m, y, y), c);
}

static uint64_t distance(uint64_t a, uint64_t b) { return a < b ? b - a : a - b; }

/* A divisor of n, from the sequence y^2 + c. Returns n itself if it finds none. */
static uint64_t rho(const struct montgomery *m, uint64_t c) {
  enum { BATCH = 64 };
  uint64_t y = m->one, x = y, before = y, divisor = 1;
  for (unsigned length = 1; divisor == 1; length *= 2) {
    x = y;
    for (unsigned i = 0; i < length; i++) y = step(m, y, c);
    for (unsigned done = 0; done < length && divisor == 1; done += BATCH) {
      uint64_t product = m->one;
      before = y;
      for (unsigned i = done; i < length && i < done + BATCH; i++) {
        y = step(m, y, c);
        product = montgomery_mul(m, product, distance(x, y));
      }
      divisor = braid_curve_gcd(product, m->n);
    }
  }
  if (divisor != m->n) return divisor;
  do { /* the batch has several factors: check its steps one by one */
    before = step(m, before, c);
    divisor = braid_curve_gcd(distance(x, before), m->n);
  } while (divisor == 1);
  return divisor;
}

/* A proper divisor of a composite number without small factors. */
static uint64_t split(const struct montgomery *m) {
  enum { CURVES = 64 };
  const uint64_t small = UINT64_C(1) << 40;
  uint64_t divisor = m->n;
  for (uint64_t sigma = 6; m->n >= small && sigma < 6 + CURVES; sigma++) {
    divisor = braid_curve_try(m, sigma);
    if (divisor != 1 && divisor != m->n) return divisor;
  }
  for (uint64_t c = 1;; c++) {
    divisor = rho(m, montgomery_in(m, c));
    if (divisor != m->n) return divisor;
  }
}

/* Factors n, which has no small factors. */
static void take_large(struct factors *found, uint64_t n) {
  while (n > 1) {
    struct montgomery m = montgomery_of(n);
    if (braid_prime_test(&m)) {
      add(found, n);
      return;
    }
    uint64_t divisor = split(&m);
    take_large(found, divisor);
    n /= divisor;
  }
}

unsigned braid_factor(uint64_t n, uint64_t factors[BRAID_FACTORS_MOST]) {
  struct factors found = {factors, 0};
  take_large(&found, take_small(&found, n));
  return found.count;
}

/* ---- trial division --------------------------------------------------------------------------------------------- */

unsigned braid_factor_trial(struct braid_team *team, uint64_t n, uint64_t factors[BRAID_FACTORS_MOST]) {
  enum { ROUND = 1 << 20 }; /* divisors between two checks whether to stop: 3 ms */
  struct factors found = {factors, 0};
  uint64_t d = 2;
  while (d <= UINT32_MAX && d * d <= n && !braid_team_stopped(team)) {
    for (uint64_t end = d + ROUND; d < end && d <= UINT32_MAX && d * d <= n; d++) {
      while (n % d == 0) {
        add(&found, d);
        n /= d;
      }
    }
  }
  if (n > 1) add(&found, n);
  return found.count;
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static void factor_chunk(void *context, size_t first, size_t last) {
  struct braid_factor_list *list = context;
  uint64_t found[BRAID_FACTORS_MOST], *row = NULL;
  size_t count = 0, room = 0;
  for (size_t i = first; i < last; i++) {
    unsigned more =
        list->trial ? braid_factor_trial(list->team, list->numbers[i], found) : braid_factor(list->numbers[i], found);
    if (count + more > room) {
      room = 2 * room + 8 * (last - i) + more;
      uint64_t *larger = realloc(row, room * sizeof *row);
      if (!larger) {
        list->out_of_memory = true;
        break;
      }
      row = larger;
    }
    if (more) memcpy(row + count, found, more * sizeof *row);
    list->counts[i] = (uint8_t)more;
    count += more;
  }
  list->rows[first / list->grain] = row;
}

void braid_factor_run(struct braid_team *team, void *arguments) {
  struct braid_factor_list *list = arguments;
  list->team = team;
  braid_team_for(team, list->count, list->grain, factor_chunk, list);
}
