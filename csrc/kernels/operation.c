/* SPDX-License-Identifier: MIT
 * One loop for each operation. The Makefile gives this file flags that let the compiler vectorize sqrt and floor: errno
 * and floating-point traps do not matter here. */
#include "kernels/operation.h"

#include <math.h>
#include <stdbool.h>

#include "kernels/elementary.h"

/* The iterations are independent: `to` is exactly one of the operands, or overlaps none. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define PARAMETERS (double *to, const double *a, const double *b, const double *c, size_t count)

/* A vectorized operation. */
#define WIDE(name, term)                                                                                               \
  BRAID_INLINE void name##_body PARAMETERS {                                                                           \
    (void)b, (void)c;                                                                                                  \
    INDEPENDENT for (size_t i = 0; i < count; i++) to[i] = (term);                                                     \
  }                                                                                                                    \
  BRAID_SIMD(name, PARAMETERS, (to, a, b, c, count))

/* An operation that calls the C library for each element. */
#define EACH(name, term)                                                                                               \
  static void name PARAMETERS {                                                                                        \
    (void)b, (void)c;                                                                                                  \
    for (size_t i = 0; i < count; i++) to[i] = (term);                                                                 \
  }

/* Like Lua's %: the remainder has the sign of b. */
static double modulo(double a, double b) {
  double m = fmod(a, b);
  return m * b < 0 ? m + b : m;
}

WIDE(copy, a[i])
WIDE(negate, -a[i])
WIDE(invert, a[i] != 0 ? 0.0 : 1.0)
WIDE(add, a[i] + b[i])
WIDE(subtract, a[i] - b[i])
WIDE(multiply, a[i] * b[i])
WIDE(divide, a[i] / b[i])
WIDE(floor_divide, floor(a[i] / b[i]))
EACH(remain, modulo(a[i], b[i]))
EACH(power, pow(a[i], b[i]))
WIDE(less, a[i] < b[i] ? 1.0 : 0.0)
WIDE(less_equal, a[i] <= b[i] ? 1.0 : 0.0)
WIDE(equal, a[i] == b[i] ? 1.0 : 0.0)
WIDE(unequal, a[i] == b[i] ? 0.0 : 1.0)
WIDE(both, a[i] != 0 ? (b[i] != 0 ? 1.0 : 0.0) : 0.0)
WIDE(either, a[i] != 0 ? 1.0 : (b[i] != 0 ? 1.0 : 0.0))
WIDE(multiply_add, a[i] * b[i] + c[i])
/* NaN if either is NaN. Of equal ones (0.0 and -0.0) the first, like math.min and math.max. */
WIDE(lesser, a[i] != a[i] ? a[i] : (a[i] <= b[i] ? a[i] : b[i]))
WIDE(greater, a[i] != a[i] ? a[i] : (a[i] >= b[i] ? a[i] : b[i]))
WIDE(where, a[i] != 0 ? b[i] : c[i])
WIDE(root, sqrt(a[i]))
WIDE(magnitude, fabs(a[i]))
WIDE(round_down, floor(a[i]))
WIDE(round_up, ceil(a[i]))
WIDE(exponential, elementary_exp(a[i]))
WIDE(logarithm, elementary_log(a[i]))
WIDE(near_sine, elementary_sin(a[i], 0))
WIDE(near_cosine, elementary_sin(a[i], 1))
BRAID_INLINE void find_far_body(const double *a, size_t count, double *far) {
  double found = 0;
  for (size_t i = 0; i < count; i++) found = fabs(a[i]) <= ELEMENTARY_FAR ? found : 1;
  *far = found;
}
BRAID_SIMD(find_far, (const double *a, size_t count, double *far), (a, count, far))

/* An element's result must not depend on its neighbours: so both loops compute near elements in the same way. */
#define CIRCULAR(name, near, near_term, far_term)                                                                      \
  static void name PARAMETERS {                                                                                        \
    double far;                                                                                                        \
    find_far(a, count, &far);                                                                                          \
    if (far == 0)                                                                                                      \
      near(to, a, b, c, count);                                                                                        \
    else                                                                                                               \
      for (size_t i = 0; i < count; i++) to[i] = fabs(a[i]) <= ELEMENTARY_FAR ? (near_term) : (far_term);              \
  }
CIRCULAR(sine, near_sine, elementary_sin(a[i], 0), sin(a[i]))
CIRCULAR(cosine, near_cosine, elementary_sin(a[i], 1), cos(a[i]))

EACH(tangent, tan(a[i]))
EACH(arc_sine, asin(a[i]))
EACH(arc_cosine, acos(a[i]))
EACH(arc_tangent, atan(a[i]))
EACH(hyperbolic_tangent, tanh(a[i]))

/* Like math.log with a base. */
static double log_to_base(double x, double base) {
  return base == 2 ? log2(x) : base == 10 ? log10(x) : log(x) / log(base);
}

WIDE(round_to_even, rint(a[i]))
WIDE(sign, a[i] > 0 ? 1.0 : (a[i] < 0 ? -1.0 : a[i]))
WIDE(is_nan, a[i] != a[i] ? 1.0 : 0.0)
WIDE(is_infinite, fabs(a[i]) == INFINITY ? 1.0 : 0.0)
EACH(logarithm_2, log2(a[i]))
EACH(logarithm_10, log10(a[i]))
EACH(logarithm_to, log_to_base(a[i], b[i]))
EACH(power_of_2, exp2(a[i]))
EACH(hyperbolic_sine, sinh(a[i]))
EACH(hyperbolic_cosine, cosh(a[i]))
EACH(arc_tangent_of_two, atan2(a[i], b[i]))
EACH(hypotenuse, hypot(a[i], b[i]))
EACH(error_function, erf(a[i]))

const struct braid_operation braid_operations[BRAID_OPERATIONS] = {
    [BRAID_COPY] = {NULL, 1, copy},
    [BRAID_NEGATE] = {NULL, 1, negate},
    [BRAID_NOT] = {NULL, 1, invert},
    [BRAID_ADD] = {NULL, 2, add},
    [BRAID_SUBTRACT] = {NULL, 2, subtract},
    [BRAID_MULTIPLY] = {NULL, 2, multiply},
    [BRAID_DIVIDE] = {NULL, 2, divide},
    [BRAID_FLOOR_DIVIDE] = {NULL, 2, floor_divide},
    [BRAID_MODULO] = {NULL, 2, remain},
    [BRAID_POWER] = {NULL, 2, power},
    [BRAID_LESS] = {NULL, 2, less},
    [BRAID_LESS_EQUAL] = {NULL, 2, less_equal},
    [BRAID_EQUAL] = {NULL, 2, equal},
    [BRAID_UNEQUAL] = {NULL, 2, unequal},
    [BRAID_AND] = {NULL, 2, both},
    [BRAID_OR] = {NULL, 2, either},
    [BRAID_MULTIPLY_ADD] = {NULL, 3, multiply_add},
    [BRAID_MIN] = {"min", 2, lesser},
    [BRAID_MAX] = {"max", 2, greater},
    [BRAID_WHERE] = {"where", 3, where},
    [BRAID_SQRT] = {"sqrt", 1, root},
    [BRAID_ABS] = {"abs", 1, magnitude},
    [BRAID_FLOOR] = {"floor", 1, round_down},
    [BRAID_CEIL] = {"ceil", 1, round_up},
    [BRAID_POW] = {"pow", 2, power},
    [BRAID_EXP] = {"exp", 1, exponential},
    [BRAID_LOG] = {"log", 1, logarithm},
    [BRAID_SIN] = {"sin", 1, sine},
    [BRAID_COS] = {"cos", 1, cosine},
    [BRAID_TAN] = {"tan", 1, tangent},
    [BRAID_ASIN] = {"asin", 1, arc_sine},
    [BRAID_ACOS] = {"acos", 1, arc_cosine},
    [BRAID_ATAN] = {"atan", 1, arc_tangent},
    [BRAID_TANH] = {"tanh", 1, hyperbolic_tangent},
    [BRAID_ROUND] = {"round", 1, round_to_even},
    [BRAID_SIGN] = {"sign", 1, sign},
    [BRAID_LOG2] = {"log2", 1, logarithm_2},
    [BRAID_LOG10] = {"log10", 1, logarithm_10},
    [BRAID_LOG_BASE] = {"log", 2, logarithm_to},
    [BRAID_EXP2] = {"exp2", 1, power_of_2},
    [BRAID_SINH] = {"sinh", 1, hyperbolic_sine},
    [BRAID_COSH] = {"cosh", 1, hyperbolic_cosine},
    [BRAID_ATAN2] = {"atan2", 2, arc_tangent_of_two},
    [BRAID_ATAN_OF_TWO] = {"atan", 2, arc_tangent_of_two},
    [BRAID_HYPOT] = {"hypot", 2, hypotenuse},
    [BRAID_ISNAN] = {"isnan", 1, is_nan},
    [BRAID_ISINF] = {"isinf", 1, is_infinite},
    [BRAID_ERF] = {"erf", 1, error_function},
};
