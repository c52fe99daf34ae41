/* SPDX-License-Identifier: MIT
 * The strong probable prime test (Miller and Rabin) with seven bases. No composite number below 2^64 passes it (J.
 * Sinclair, 2011; verified against J. Feitsma's list of base-2 pseudoprimes). */
#include "kernels/prime.h"

/* The inverse of p modulo 2^64 by Newton's method: 5, 10, 20, 40, 80 bits are right. */
#define INVERSE_5(p) ((UINT64_C(3) * (p)) ^ 2)
#define INVERSE_10(p) (INVERSE_5(p) * (2 - (p)*INVERSE_5(p)))
#define INVERSE_20(p) (INVERSE_10(p) * (2 - (p)*INVERSE_10(p)))
#define INVERSE_40(p) (INVERSE_20(p) * (2 - (p)*INVERSE_20(p)))
#define INVERSE_80(p) (INVERSE_40(p) * (2 - (p)*INVERSE_40(p)))
#define DIVISOR(p)                                                                                                     \
  { INVERSE_80(p), UINT64_MAX / (p), (p) }

const struct braid_divisor braid_divisors[BRAID_DIVISORS] = {
    DIVISOR(3),   DIVISOR(5),   DIVISOR(7),   DIVISOR(11),  DIVISOR(13),  DIVISOR(17),  DIVISOR(19),  DIVISOR(23),
    DIVISOR(29),  DIVISOR(31),  DIVISOR(37),  DIVISOR(41),  DIVISOR(43),  DIVISOR(47),  DIVISOR(53),  DIVISOR(59),
    DIVISOR(61),  DIVISOR(67),  DIVISOR(71),  DIVISOR(73),  DIVISOR(79),  DIVISOR(83),  DIVISOR(89),  DIVISOR(97),
    DIVISOR(101), DIVISOR(103), DIVISOR(107), DIVISOR(109), DIVISOR(113), DIVISOR(127), DIVISOR(131), DIVISOR(137),
    DIVISOR(139), DIVISOR(149), DIVISOR(151), DIVISOR(157), DIVISOR(163), DIVISOR(167), DIVISOR(173), DIVISOR(179),
    DIVISOR(181), DIVISOR(191), DIVISOR(193), DIVISOR(197), DIVISOR(199), DIVISOR(211), DIVISOR(223), DIVISOR(227),
    DIVISOR(229), DIVISOR(233), DIVISOR(239), DIVISOR(241), DIVISOR(251),
};

/* n - 1 = odd * 2^twos. `base` is in Montgomery form. */
static bool passes(const struct montgomery *m, uint64_t base, uint64_t odd, int twos) {
  uint64_t minus_one = m->n - m->one, power = base;
  for (int bit = 62 - __builtin_clzll(odd); bit >= 0; bit--) {
    power = montgomery_mul(m, power, power);
    if (odd >> bit & 1) power = montgomery_mul(m, power, base);
  }
  if (power == m->one || power == minus_one) return true;
  for (int i = 1; i < twos; i++) {
    power = montgomery_mul(m, power, power);
    if (power == minus_one) return true;
  }
  return false;
}

bool braid_prime_test(const struct montgomery *m) {
  static const uint32_t bases[] = {2, 325, 9375, 28178, 450775, 9780504, 1795265022};
  if (m->n < 257 * 257) return true;
  int twos = __builtin_ctzll(m->n - 1);
  uint64_t odd = (m->n - 1) >> twos;
  for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
    uint64_t base = i == 0 ? montgomery_add(m, m->one, m->one) : montgomery_in(m, bases[i]);
    if (base != 0 && !passes(m, base, odd, twos)) return false;
  }
  return true;
}

bool braid_prime_is(uint64_t n) {
  if (n < 4) return n > 1;
  if (n % 2 == 0) return false;
  for (int i = 0; i < BRAID_DIVISORS; i++)
    if (n * braid_divisors[i].inverse <= braid_divisors[i].most) return n == braid_divisors[i].prime;
  struct montgomery m = montgomery_of(n);
  return braid_prime_test(&m);
}

static void test_chunk(void *context, size_t first, size_t last) {
  const struct braid_prime_list *list = context;
  for (size_t i = first; i < last; i++) list->primes[i] = braid_prime_is(list->numbers[i]);
}

void braid_prime_run(struct braid_team *team, void *arguments) {
  const struct braid_prime_list *list = arguments;
  braid_team_for(team, list->count, 256, test_chunk, arguments);
}
