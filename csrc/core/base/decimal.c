/* SPDX-License-Identifier: MIT
 * A double is m * 2^e, a text is w * 10^q. Nearly all numbers have q from -27 to 27. For these both forms are compared
 * exactly in 128 bits, because 5^27 fits into 64 bits. The C library reads and writes the others. Its decimal point
 * depends on the locale: so it is given texts without a point, and only the digits of its texts are used. */
#include "core/base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;

enum {
  EXACT = BRAID_DECIMAL_TENS, /* powers of ten: 5^27 < 2^63 */
  DIGITS = 19,                /* any number of so many digits fits into 64 bits */
  MOST_DIGITS = 768           /* a number in the middle between two doubles has at most so many */
};

static const uint64_t fives[EXACT + 1] = {
    UINT64_C(1),
    UINT64_C(5),
    UINT64_C(25),
    UINT64_C(125),
    UINT64_C(625),
    UINT64_C(3125),
    UINT64_C(15625),
    UINT64_C(78125),
    UINT64_C(390625),
    UINT64_C(1953125),
    UINT64_C(9765625),
    UINT64_C(48828125),
    UINT64_C(244140625),
    UINT64_C(1220703125),
    UINT64_C(6103515625),
    UINT64_C(30517578125),
    UINT64_C(152587890625),
    UINT64_C(762939453125),
    UINT64_C(3814697265625),
    UINT64_C(19073486328125),
    UINT64_C(95367431640625),
    UINT64_C(476837158203125),
    UINT64_C(2384185791015625),
    UINT64_C(11920928955078125),
    UINT64_C(59604644775390625),
    UINT64_C(298023223876953125),
    UINT64_C(1490116119384765625),
    UINT64_C(7450580596923828125),
};

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

static double of_bits(uint64_t bits) {
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

/* 10^k as a double is exact for k up to EXACT_TENS. */
enum { EXACT_TENS = 22 };

static inline double ten_to(int k) { return (double)fives[k] * (double)(UINT64_C(1) << k); }

/* ---- reading -------------------------------------------------------------------------------------------------- */

static int bits_of(u128 value) {
  uint64_t high = (uint64_t)(value >> 64);
  return high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)value);
}

/* Rounds value * 2^exponent to the nearest double, ties to even. `more`: the exact value is a little larger than
 * `value`. The result must be a normal double: no overflow, no underflow. */
static double rounded(u128 value, int exponent, bool more) {
  int shift = bits_of(value) - 53;
  uint64_t mantissa = (uint64_t)(shift > 0 ? value >> shift : value << -shift);
  if (shift > 0) {
    u128 rest = value & (((u128)1 << shift) - 1), half = (u128)1 << (shift - 1);
    mantissa += rest > half || (rest == half && (more || (mantissa & 1)));
  }
  exponent += shift;
  if (mantissa >> 53) {
    mantissa >>= 1;
    exponent++;
  }
  return of_bits((mantissa & ((UINT64_C(1) << 52) - 1)) | (uint64_t)(exponent + 52 + 1023) << 52);
}

double braid_decimal_scaled(uint64_t w, int q) {
  if (w == 0) return 0;
  if (w < UINT64_C(1) << 53 && q >= -EXACT_TENS && q <= EXACT_TENS)
    return q < 0 ? (double)w / ten_to(-q) : (double)w * ten_to(q); /* exact operands: only the result is rounded */
  if (q >= 0) return rounded((u128)w * fives[q], q, false);
  int shift = __builtin_clzll(w) + 63;
  u128 numerator = (u128)w << shift, quotient = numerator / fives[-q];
  return rounded(quotient, q - shift, quotient * fives[-q] != numerator);
}

/* The number with these digits (and maybe a point), times 10^exponent. Uses strtod. */
static double by_library(const char *text, int64_t exponent) {
  char plain[MOST_DIGITS + 32];
  size_t count = 0;
  bool more = false, fraction = false;
  for (; is_digit(*text) || *text == '.'; text++) {
    if (*text == '.') {
      fraction = true;
      continue;
    }
    exponent -= fraction;
    if (count < MOST_DIGITS) {
      plain[count] = *text;
      count += count > 0 || *text != '0';
    } else {
      more = more || *text != '0';
      exponent++;
    }
  }
  if (count == 0) return 0;
  if (more) {
    plain[count++] = '1';
    exponent--;
  }
  if (exponent < -99999) exponent = -99999;
  if (exponent > 99999) exponent = 99999;
  snprintf(plain + count, sizeof plain - count, "e%d", (int)exponent);
  return strtod(plain, NULL);
}

struct scan {
  const char *at;
  uint64_t w; /* the first digits, without the point */
  int count;  /* their number */
  int64_t q;  /* the value is w * 10^q */
  bool cut;   /* a digit other than zero did not fit into w */
  int64_t exponent;
};

static inline void take_digits(struct scan *s, bool fraction) {
  for (; is_digit(*s->at); s->at++) {
    if (s->count < DIGITS) {
      s->w = s->w * 10 + (uint64_t)(*s->at - '0');
      s->count += s->w > 0;
      s->q -= fraction;
    } else {
      s->cut = s->cut || *s->at != '0';
      s->q += !fraction;
    }
  }
}

/* Reads an exponent. It stops growing when it is far beyond all doubles, so it cannot overflow. */
static bool take_exponent(struct scan *s) {
  bool negative = *s->at == '-';
  if (*s->at == '-' || *s->at == '+') s->at++;
  if (!is_digit(*s->at)) return false;
  for (; is_digit(*s->at); s->at++)
    if (s->exponent < INT64_C(1) << 50) s->exponent = s->exponent * 10 + (*s->at - '0');
  if (negative) s->exponent = -s->exponent;
  return true;
}

static double number_of(const struct scan *s, const char *digits, bool negative) {
  int64_t q = s->q + s->exponent;
  bool near = !s->cut && q >= -EXACT && q <= EXACT;
  double number = near ? braid_decimal_scaled(s->w, (int)q) : by_library(digits, s->exponent);
  return negative ? -number : number;
}

static struct braid_decimal fault(const char *at, const char *why) {
  return (struct braid_decimal){.end = at, .fault = why};
}

static struct braid_decimal integer_of(const struct scan *s, bool negative, const char *digits) {
  struct braid_decimal d = {.kind = BRAID_DECIMAL_INTEGER, .end = s->at};
  uint64_t most = (uint64_t)INT64_MAX + negative;
  if (s->q == 0 && !s->cut && s->w <= most) {
    d.integer = (int64_t)(negative ? -s->w : s->w);
    return d;
  }
  d.kind = BRAID_DECIMAL_BIG;
  d.number = number_of(s, digits, negative);
  return d;
}

struct braid_decimal braid_decimal_read(const char *text) {
  bool negative = *text == '-';
  const char *digits = text + negative;
  struct scan s = {.at = digits};
  if (!is_digit(*s.at)) return fault(s.at, "a digit is expected after the minus sign");
  if (*s.at == '0' && is_digit(s.at[1])) return fault(text, "a number has no leading zeros");
  take_digits(&s, false);
  if (*s.at != '.' && *s.at != 'e' && *s.at != 'E') return integer_of(&s, negative, digits);
  if (*s.at == '.') {
    s.at++;
    if (!is_digit(*s.at)) return fault(s.at, "a digit is expected after the point");
    take_digits(&s, true);
  }
  if (*s.at == 'e' || *s.at == 'E') {
    s.at++;
    if (!take_exponent(&s)) return fault(s.at, "a digit is expected in the exponent");
  }
  return (struct braid_decimal){.kind = BRAID_DECIMAL_FLOAT, .number = number_of(&s, digits, negative), .end = s.at};
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* digits * 10^q */
struct shortest {
  uint64_t digits;
  int q;
};

static struct shortest without_zeros(uint64_t digits, int q) {
  while (digits % 10 == 0) {
    digits /= 10;
    q++;
  }
  return (struct shortest){digits, q};
}

/* The power of ten of the first digit of m * 2^e, or one less. m has 53 bits. */
static int magnitude(int e) { return (int)floor((e + 52) * 0.30102999566398114); }

/* Tries 15 digits or fewer. No two such texts read as the same double. So the nearest one is the shortest text if it
 * reads back as x. */
static bool is_short(double x, int magnitude, struct shortest *s) {
  int k = 14 - magnitude;
  if (k < 1 || k > EXACT_TENS) return false;
  double digits = floor(x * ten_to(k) + 0.5);
  if (digits >= 1e15) digits = floor(x * ten_to(--k) + 0.5);
  if (digits / ten_to(k) != x) return false;
  *s = without_zeros((uint64_t)digits, -k);
  return true;
}

/* x is m * 2^e. All numbers between `low` and `high` read as x. The unit is chosen so that all fields are integers. */
struct interval {
  u128 one, low, centre, high; /* one: the value of 10^q in this unit */
  bool closed;                 /* low and high themselves read as x, too */
};

static inline bool is_inside(const struct interval *i, u128 digits) {
  u128 value = digits * i->one;
  return i->closed ? value >= i->low && value <= i->high : value > i->low && value < i->high;
}

/* The unit is a quarter of the last bit of m, times a scale. k is -q. */
static struct interval interval_of(uint64_t m, int e, int k) {
  struct interval i = {.one = 1, .closed = (m & 1) == 0};
  u128 unit = k >= 0 ? fives[k] : 1;
  int shift = e - 2 + k;
  if (k < 0) i.one = fives[-k];
  if (shift >= 0)
    unit <<= shift;
  else
    i.one <<= -shift;
  i.centre = 4 * m * unit;
  i.low = i.centre - (m == UINT64_C(1) << 52 ? unit : 2 * unit);
  i.high = i.centre + 2 * unit;
  return i;
}

/* The number with the fewest digits inside the interval; of several, the nearest to its centre. 17 digits suffice. */
static struct shortest shortest_inside(const struct interval *i, int q) {
  uint64_t floor_digits = (uint64_t)(i->centre / i->one), best = 0, power = 1;
  for (;; power *= 10) {
    uint64_t below = floor_digits / power * power, above = below + power;
    bool fits_below = is_inside(i, below), fits_above = is_inside(i, above);
    if (power > 1 && !fits_below && !fits_above) break;
    bool nearer_above = i->centre - below * i->one > above * i->one - i->centre;
    best = fits_above && (!fits_below || nearer_above) ? above : below;
  }
  return without_zeros(best, q);
}

/* Uses printf. Only the digits of its text are used, because its decimal point depends on the locale. */
static struct shortest shortest_by_library(double x) {
  char text[64], digits[64];
  for (int precision = x < 1e-300 ? 1 : 15;; precision++) {
    snprintf(text, sizeof text, "%.*e", precision - 1, x);
    int count = 0, exponent = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
      if (is_digit(*at)) digits[count++] = *at;
    exponent = atoi(at + 1) - (count - 1);
    snprintf(digits + count, sizeof digits - (size_t)count, "e%d", exponent);
    if (precision == 17 || strtod(digits, NULL) == x) return without_zeros(strtoull(digits, NULL, 10), exponent);
  }
}

/* x > 0 */
static struct shortest shortest_of(double x) {
  uint64_t bits, m;
  memcpy(&bits, &x, sizeof bits);
  int e = (int)(bits >> 52);
  m = bits & ((UINT64_C(1) << 52) - 1);
  if (e == 0) return shortest_by_library(x);
  m |= UINT64_C(1) << 52;
  e -= 1023 + 52;
  if (e <= 0 && e > -53 && (m & ((UINT64_C(1) << -e) - 1)) == 0) return without_zeros(m >> -e, 0);
  struct shortest s;
  int tens = magnitude(e), k = 16 - tens;
  if (is_short(x, tens, &s)) return s;
  if (k <= -EXACT || k > EXACT) return shortest_by_library(x);
  struct interval i = interval_of(m, e, k);
  if (i.centre / i.one >= UINT64_C(100000000000000000)) i = interval_of(m, e, --k);
  return shortest_inside(&i, -k);
}

static size_t write_digits(char *into, uint64_t digits) {
  char reversed[20];
  size_t count = 0;
  do {
    reversed[count++] = (char)('0' + digits % 10);
    digits /= 10;
  } while (digits > 0);
  for (size_t i = 0; i < count; i++) into[i] = reversed[count - 1 - i];
  return count;
}

size_t braid_decimal_write_integer(char *into, int64_t number) {
  if (number >= 0) return write_digits(into, (uint64_t)number);
  *into = '-';
  return 1 + write_digits(into + 1, -(uint64_t)number);
}

/* Writes "0.0012", "12.5", "1200.0". The first digit in `into` stands for 10^exponent. */
static size_t place_point(char *into, size_t count, int exponent) {
  if (exponent < 0) {
    size_t zeros = (size_t)-exponent;
    memmove(into + zeros + 1, into, count);
    memset(into, '0', zeros + 1);
    into[1] = '.';
    return count + zeros + 1;
  }
  size_t whole = (size_t)exponent + 1;
  if (count <= whole) {
    memset(into + count, '0', whole - count);
    memcpy(into + whole, ".0", 2);
    return whole + 2;
  }
  memmove(into + whole + 1, into + whole, count - whole);
  into[whole] = '.';
  return count + 1;
}

/* Writes "1.25e-07", "5e+300". */
static size_t place_exponent(char *into, size_t count, int exponent) {
  if (count > 1) {
    memmove(into + 2, into + 1, count - 1);
    into[1] = '.';
    count++;
  }
  into[count++] = 'e';
  into[count++] = exponent < 0 ? '-' : '+';
  if (abs(exponent) < 10) into[count++] = '0';
  return count + write_digits(into + count, (uint64_t)abs(exponent));
}

size_t braid_decimal_write(char *into, double number) {
  size_t sign = signbit(number) != 0;
  if (sign) *into++ = '-';
  if (number == 0) {
    memcpy(into, "0.0", 3);
    return sign + 3;
  }
  struct shortest s = shortest_of(fabs(number));
  size_t count = write_digits(into, s.digits);
  int exponent = (int)count - 1 + s.q;
  bool plain = exponent >= -4 && exponent < 16;
  return sign + (plain ? place_point(into, count, exponent) : place_exponent(into, count, exponent));
}
