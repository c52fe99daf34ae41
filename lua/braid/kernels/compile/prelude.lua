-- SPDX-License-Identifier: MIT
--- The C that every compiled kernel begins with: Lua's arithmetic, and the checks. It includes no header, so that it
--- compiles quickly. A check that fails returns from the function with the number of its site (see emitter.lua); `fast`
--- is a constant: 1 in the copy of the code that runs when all indices of a range were proved before.

return [[
typedef long long I; typedef unsigned long long U; typedef double D; typedef __int128 W;
struct k_argument { union { I i; D d; void *p; } v; I rows, columns, row_step, column_step; };
struct k_fault { I site, value, limit, i, j; };
#define K_STOPPED 1
#define K_FAULTY 2
#define unlikely(x) __builtin_expect(!!(x), 0)
#define INLINE static inline __attribute__((always_inline, unused))
double sqrt(double), sin(double), cos(double), tan(double), asin(double), acos(double), atan2(double, double);
double exp(double), log(double), log2(double), log10(double), pow(double, double), fmod(double, double);
double floor(double), ceil(double), fabs(double);
static __attribute__((noinline, cold, unused)) int k_fail(struct k_fault *f, I site, I value, I limit) {
  f->site = site, f->value = value, f->limit = limit;
  return K_FAULTY;
}
#define K_FAIL(site, value, limit) return k_fail(k_fault, site, value, limit)
#define K_AT(p, key, n, step, site, sure) (*({ \
  const I k_key = (key); \
  if (!(sure) && unlikely((U)(k_key - 1) >= (U)(n))) K_FAIL(site, k_key, n); \
  (p) + (k_key - 1) * (step); }))
#define K_ROW(p, key, n, step, site, sure) (&K_AT(p, key, n, step, site, sure))
#define K_FITS(value, least, most, site, sure) ({ \
  const I k_value = (value); \
  if (!(sure) && unlikely(k_value < (least) || k_value > (most))) K_FAIL(site, k_value, 0); \
  k_value; })
#define K_INTEGER(value, site) ({ \
  const D k_number = (value); \
  if (unlikely(!(k_number >= -0x1p63 && k_number < 0x1p63 && k_number == (D)(I)k_number))) K_FAIL(site, 0, 0); \
  (I)k_number; })
#define K_WHOLE(value, site) ({ \
  const D k_number = (value); \
  if (unlikely(!(k_number >= -0x1p63 && k_number < 0x1p63))) K_FAIL(site, 0, 0); \
  (I)k_number; })
#define K_DIVIDE(left, right, site, sure) ({ \
  const I k_l = (left), k_r = (right); \
  if (!(sure) && unlikely(k_r == 0)) K_FAIL(site, 0, 0); \
  k_divide(k_l, k_r); })
#define K_MODULO(left, right, site, sure) ({ \
  const I k_l = (left), k_r = (right); \
  if (!(sure) && unlikely(k_r == 0)) K_FAIL(site, 0, 0); \
  k_modulo(k_l, k_r); })
#define K_REMAINDER(left, right, site) ({ \
  const I k_l = (left), k_r = (right); \
  if (unlikely(k_r == 0)) K_FAIL(site, 0, 0); \
  k_r == -1 ? 0 : k_l % k_r; })
INLINE I k_divide(I a, I b) {
  if (b == -1) return (I)(0 - (U)a);
  I q = a / b;
  return q - ((a % b != 0) & ((a ^ b) < 0));
}
INLINE I k_modulo(I a, I b) {
  if (b == -1) return 0;
  I r = a % b;
  return r != 0 && (r ^ b) < 0 ? r + b : r;
}
INLINE D k_divide_d(D a, D b) { return floor(a / b); }
INLINE D k_modulo_d(D a, D b) {
  D m = fmod(a, b);
  if (m > 0 ? b < 0 : m < 0 && b > 0) m += b;
  return m;
}
INLINE D k_power(D a, D b) { return b == 2 ? a * a : pow(a, b); }
INLINE D k_log(D x, D base) { return base == 2 ? log2(x) : base == 10 ? log10(x) : log(x) / log(base); }
INLINE I k_abs(I a) { return a < 0 ? (I)(0 - (U)a) : a; }
INLINE I k_max_i(I a, I b) { return a < b ? b : a; }
INLINE I k_min_i(I a, I b) { return b < a ? b : a; }
INLINE D k_max_d(D a, D b) { return a < b ? b : a; }
INLINE D k_min_d(D a, D b) { return b < a ? b : a; }
INLINE I k_left(I a, I n);
INLINE I k_right(I a, I n) {
  return n <= -64 || n >= 64 ? 0 : n >= 0 ? (I)((U)a >> n) : (I)((U)a << -n);
}
INLINE I k_left(I a, I n) { return n <= -64 || n >= 64 ? 0 : n >= 0 ? (I)((U)a << n) : (I)((U)a >> -n); }
INLINE int k_exact(I a) { return (U)(a + (1LL << 53)) <= (U)(1LL << 54); }
/* a < b, a <= b, a == b of an integer and a float, without rounding the integer. */
INLINE int k_less_id(I a, D b) { return k_exact(a) ? (D)a < b : b >= 0x1p63 || (b > -0x1p63 && a < (I)ceil(b)); }
INLINE int k_most_id(I a, D b) { return k_exact(a) ? (D)a <= b : b >= 0x1p63 || (b >= -0x1p63 && a <= (I)floor(b)); }
INLINE int k_less_di(D a, I b) { return k_exact(b) ? a < (D)b : a < -0x1p63 || (a < 0x1p63 && (I)floor(a) < b); }
INLINE int k_most_di(D a, I b) { return k_exact(b) ? a <= (D)b : a < -0x1p63 || (a < 0x1p63 && (I)ceil(a) <= b); }
INLINE int k_same_id(I a, D b) { return b >= -0x1p63 && b < 0x1p63 && b == (D)(I)b && (I)b == a; }
/* How often a loop runs. */
INLINE U k_count(I from, I to, I step) {
  if (step > 0 ? from > to : from < to) return 0;
  U n = step > 0 ? ((U)to - (U)from) / (U)step : ((U)from - (U)to) / (0 - (U)step);
  return n + 1 ? n + 1 : n;
}
/* The limit of an integer loop that is a float. */
INLINE I k_limit(D to, I step, int *none) {
  if (to != to) { *none = 1; return 0; }
  to = step > 0 ? floor(to) : ceil(to);
  if (to >= 0x1p63) { if (step < 0) *none = 1; return 0x7fffffffffffffffLL; }
  if (to < -0x1p63) { if (step > 0) *none = 1; return -0x7fffffffffffffffLL - 1; }
  return (I)to;
}
#define K_MOST ((W)1 << 62)
INLINE W k_floor(W a, W b) { W q = a / b; return q - (a % b != 0 && (a < 0) != (b < 0)); }
#define K_LOOK 65536
]]
