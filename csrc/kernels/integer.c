/* SPDX-License-Identifier: MIT
 * One loop for each operation. Division by 0: where doubles would give an infinity, the result is the type's largest or
 * smallest value; 0 // 0 and x % 0 give 0. Storing such doubles into integer arrays gives the same. */
#include "kernels/integer.h"

#include <stdbool.h>

#include "kernels/simd.h"

#define PARAMETERS (int64_t * to, const int64_t *a, const int64_t *b, const int64_t *c, size_t count)

/* The iterations are independent: `to` is exactly one of the operands, or overlaps none. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define BITS(x) ((uint64_t)(x))

/* Computes `term` of x, y and z, which have this type. */
#define LOOP(name, type, term)                                                                                         \
  BRAID_INLINE void name##_body PARAMETERS {                                                                           \
    (void)b, (void)c;                                                                                                  \
    INDEPENDENT for (size_t i = 0; i < count; i++) {                                                                   \
      type x = (type)a[i];                                                                                             \
      to[i] = (int64_t)(term);                                                                                         \
    }                                                                                                                  \
  }                                                                                                                    \
  BRAID_SIMD(name, PARAMETERS, (to, a, b, c, count))
#define Y(type) ((type)b[i])
#define Z(type) ((type)c[i])

/* ---- division --------------------------------------------------------------------------------------------------- */

static int64_t quotient_signed(int64_t a, int64_t b) {
  if (b == 0) return a > 0 ? INT64_MAX : a < 0 ? INT64_MIN : 0;
  if (b == -1) return (int64_t)(0 - BITS(a));
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t rest_signed(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  int64_t m = a % b;
  return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

static uint64_t quotient_unsigned(uint64_t a, uint64_t b) { return b ? a / b : a ? UINT64_MAX : 0; }
static uint64_t rest_unsigned(uint64_t a, uint64_t b) { return b ? a % b : 0; }

/* A mask: all bits set if x is negative, else none. */
BRAID_INLINE int64_t negative(int64_t x) { return x < 0 ? -1 : 0; }

/* Processors have no vector division of 64-bit integers, but one of doubles. So the quotient is computed in doubles:
 * the first guess is wrong by 2^14 at most; dividing the remainder again corrects it to an error of 1; then it is made
 * exact. The result is Lua's // or %: rounded down, and the remainder has the sign of b. b is not 0. */
BRAID_INLINE uint64_t settle(uint64_t a, int64_t b, uint64_t guess, bool rest_wanted) {
  int64_t left = (int64_t)(a - guess * BITS(b));
  int64_t more = (int64_t)((double)left / (double)b);
  int64_t rest = (int64_t)(BITS(left) - BITS(more) * BITS(b));
  int64_t below = negative(rest ^ b) & (rest != 0 ? -1 : 0);
  int64_t raised = (int64_t)(BITS(rest) + BITS(b & below));
  int64_t sign = negative(b), over = (int64_t)(((BITS(raised) - BITS(b)) ^ BITS(sign)) - BITS(sign));
  int64_t above = ~negative(over);
  return rest_wanted ? BITS(raised) - BITS(b & above) : guess + BITS(more) + BITS(below) - BITS(above);
}

BRAID_INLINE uint64_t divide_signed(int64_t a, int64_t b, bool rest_wanted) {
  double guess = (double)a / (double)b;
  guess = guess > 0x1.fffffffffffffp62 ? 0x1.fffffffffffffp62 : guess;
  return settle(BITS(a), b, BITS((int64_t)guess), rest_wanted);
}

/* b must be below 2^62. */
BRAID_INLINE uint64_t divide_unsigned(uint64_t a, uint64_t b, bool rest_wanted) {
  double guess = (double)a / (double)b;
  guess = guess > 0x1.fffffffffffffp63 ? 0x1.fffffffffffffp63 : guess;
  return settle(a, (int64_t)b, (uint64_t)guess, rest_wanted);
}

static bool has_zero(const int64_t *b, size_t count) {
  bool found = false;
  for (size_t i = 0; i < count; i++) found |= b[i] == 0;
  return found;
}

static bool has_large(const int64_t *b, size_t count) {
  uint64_t bits = 0;
  for (size_t i = 0; i < count; i++) bits |= BITS(b[i]);
  return bits >> 62 != 0;
}

/* Uses `divide` in vectors if `can` holds for the block, else `slow` for each element. */
#define DIVISION(name, type, divide, rest, can, slow)                                                                  \
  BRAID_INLINE void name##_fast_body PARAMETERS {                                                                      \
    (void)c;                                                                                                           \
    INDEPENDENT for (size_t i = 0; i < count; i++) to[i] = (int64_t)divide((type)a[i], (type)b[i], rest);              \
  }                                                                                                                    \
  BRAID_SIMD(name##_fast, PARAMETERS, (to, a, b, c, count))                                                            \
  static void name PARAMETERS {                                                                                        \
    if (can)                                                                                                           \
      name##_fast(to, a, b, c, count);                                                                                 \
    else                                                                                                               \
      for (size_t i = 0; i < count; i++) to[i] = (int64_t)slow((type)a[i], (type)b[i]);                                \
  }

#define SIGNED !has_zero(b, count)
#define UNSIGNED (!has_zero(b, count) && !has_large(b, count))
DIVISION(floor_divide, int64_t, divide_signed, false, SIGNED, quotient_signed)
DIVISION(remain, int64_t, divide_signed, true, SIGNED, rest_signed)
DIVISION(floor_divide_unsigned, uint64_t, divide_unsigned, false, UNSIGNED, quotient_unsigned)
DIVISION(remain_unsigned, uint64_t, divide_unsigned, true, UNSIGNED, rest_unsigned)

/* ---- the others ------------------------------------------------------------------------------------------------- */

LOOP(copy, int64_t, x)
LOOP(zero, int64_t, 0 * x)
LOOP(negate, uint64_t, 0 - x)
LOOP(invert, int64_t, x == 0)
LOOP(add, uint64_t, x + Y(uint64_t))
LOOP(subtract, uint64_t, x - Y(uint64_t))
LOOP(multiply, uint64_t, x *Y(uint64_t))
LOOP(multiply_add, uint64_t, x *Y(uint64_t) + Z(uint64_t))
LOOP(equal, int64_t, x == Y(int64_t))
LOOP(unequal, int64_t, x != Y(int64_t))
LOOP(both, int64_t, (x != 0) & (Y(int64_t) != 0))
LOOP(either, int64_t, (x != 0) | (Y(int64_t) != 0))
LOOP(where, int64_t, x != 0 ? Y(int64_t) : Z(int64_t))
LOOP(less, int64_t, x < Y(int64_t))
LOOP(less_unsigned, uint64_t, x < Y(uint64_t))
LOOP(less_equal, int64_t, x <= Y(int64_t))
LOOP(less_equal_unsigned, uint64_t, x <= Y(uint64_t))
LOOP(lesser, int64_t, x < Y(int64_t) ? x : Y(int64_t))
LOOP(lesser_unsigned, uint64_t, x < Y(uint64_t) ? x : Y(uint64_t))
LOOP(greater, int64_t, x > Y(int64_t) ? x : Y(int64_t))
LOOP(greater_unsigned, uint64_t, x > Y(uint64_t) ? x : Y(uint64_t))
LOOP(magnitude, int64_t, x < 0 ? 0 - BITS(x) : BITS(x))
LOOP(sign, int64_t, (x > 0) - (x < 0))
LOOP(sign_unsigned, uint64_t, x != 0)

const struct braid_integer_operation braid_integer_operations[BRAID_OPERATIONS] = {
    [BRAID_COPY] = {copy, copy},
    [BRAID_NEGATE] = {negate, negate},
    [BRAID_NOT] = {invert, invert},
    [BRAID_ADD] = {add, add},
    [BRAID_SUBTRACT] = {subtract, subtract},
    [BRAID_MULTIPLY] = {multiply, multiply},
    [BRAID_FLOOR_DIVIDE] = {floor_divide, floor_divide_unsigned},
    [BRAID_MODULO] = {remain, remain_unsigned},
    [BRAID_LESS] = {less, less_unsigned},
    [BRAID_LESS_EQUAL] = {less_equal, less_equal_unsigned},
    [BRAID_EQUAL] = {equal, equal},
    [BRAID_UNEQUAL] = {unequal, unequal},
    [BRAID_AND] = {both, both},
    [BRAID_OR] = {either, either},
    [BRAID_MULTIPLY_ADD] = {multiply_add, multiply_add},
    [BRAID_MIN] = {lesser, lesser_unsigned},
    [BRAID_MAX] = {greater, greater_unsigned},
    [BRAID_WHERE] = {where, where},
    [BRAID_ABS] = {magnitude, copy},
    [BRAID_FLOOR] = {copy, copy},
    [BRAID_CEIL] = {copy, copy},
    [BRAID_ROUND] = {copy, copy},
    [BRAID_SIGN] = {sign, sign_unsigned},
    [BRAID_ISNAN] = {zero, zero},
    [BRAID_ISINF] = {zero, zero},
};
