/* SPDX-License-Identifier: MIT
 * Conversions between the types of rows. */
#include "kernels/row.h"

#include <string.h>

#include "kernels/simd.h"

/* For each integer type: its C type, and the smallest and largest of its values that a double can represent. */
#define NARROW_TYPES(X)                                                                                                \
  X(BRAID_I32, i32, int32_t, INT32_MIN, INT32_MAX)                                                                     \
  X(BRAID_I16, i16, int16_t, INT16_MIN, INT16_MAX)                                                                     \
  X(BRAID_I8, i8, int8_t, INT8_MIN, INT8_MAX)                                                                          \
  X(BRAID_U32, u32, uint32_t, 0, UINT32_MAX)                                                                           \
  X(BRAID_U16, u16, uint16_t, 0, UINT16_MAX)                                                                           \
  X(BRAID_U8, u8, uint8_t, 0, UINT8_MAX)
#define INTEGER_TYPES(X)                                                                                               \
  X(BRAID_I64, i64, int64_t, -0x1p63, 0x1.fffffffffffffp62)                                                            \
  X(BRAID_U64, u64, uint64_t, 0, 0x1.fffffffffffffp63)                                                                 \
  NARROW_TYPES(X)

#define DEFINE_NUMBERS(tag, name, ctype, least, most)                                                                  \
  BRAID_INLINE void name##_doubles_body(const ctype *restrict from, size_t count, double *restrict to) {               \
    for (size_t i = 0; i < count; i++) to[i] = (double)from[i];                                                        \
  }                                                                                                                    \
  BRAID_SIMD(name##_doubles, (const ctype *from, size_t count, double *to), (from, count, to))                         \
  BRAID_INLINE void name##_set_doubles_body(const double *restrict from, size_t count, ctype *restrict to) {           \
    for (size_t i = 0; i < count; i++) {                                                                               \
      double x = from[i];                                                                                              \
      x = x == x ? x : 0;                                                                                              \
      x = x < (least) ? (least) : x;                                                                                   \
      x = x > (most) ? (most) : x;                                                                                     \
      to[i] = (ctype)x;                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  BRAID_SIMD(name##_set_doubles, (const double *from, size_t count, ctype *to), (from, count, to))

#define DEFINE_INTEGERS(tag, name, ctype, least, most)                                                                 \
  static void name##_integers(const ctype *restrict from, size_t count, int64_t *restrict to) {                        \
    for (size_t i = 0; i < count; i++) to[i] = (int64_t)from[i];                                                       \
  }                                                                                                                    \
  static void name##_set_integers(const int64_t *restrict from, size_t count, ctype *restrict to) {                    \
    for (size_t i = 0; i < count; i++) to[i] = (ctype)from[i];                                                         \
  }

/* The types that need clamping, with their smallest and largest values. */
#define FIT_TYPES(X)                                                                                                   \
  X(BRAID_U64, u64, uint64_t, 0, INT64_MAX)                                                                            \
  NARROW_TYPES(X)

/* `bits`: the values are unsigned; those from 2^63 on are negative as int64_t, and too large for every narrow type. */
#define DEFINE_FIT(tag, name, ctype, least, most)                                                                      \
  BRAID_INLINE void name##_fit_body(const int64_t *restrict from, size_t count, ctype *restrict to, bool bits) {       \
    for (size_t i = 0; i < count; i++) {                                                                               \
      int64_t x = from[i];                                                                                             \
      x = bits && x < 0 ? INT64_MAX : x;                                                                               \
      x = x < (int64_t)(least) ? (int64_t)(least) : x;                                                                 \
      x = x > (int64_t)(most) ? (int64_t)(most) : x;                                                                   \
      to[i] = (ctype)x;                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  BRAID_SIMD(name##_fit, (const int64_t *from, size_t count, ctype *to, bool bits), (from, count, to, bits))

FIT_TYPES(DEFINE_FIT)
INTEGER_TYPES(DEFINE_NUMBERS)
NARROW_TYPES(DEFINE_INTEGERS)

BRAID_INLINE void f32_doubles_body(const float *restrict from, size_t count, double *restrict to) {
  for (size_t i = 0; i < count; i++) to[i] = (double)from[i];
}
BRAID_SIMD(f32_doubles, (const float *from, size_t count, double *to), (from, count, to))

BRAID_INLINE void f32_set_doubles_body(const double *restrict from, size_t count, float *restrict to) {
  for (size_t i = 0; i < count; i++) to[i] = (float)from[i];
}
BRAID_SIMD(f32_set_doubles, (const double *from, size_t count, float *to), (from, count, to))

const double *braid_row_doubles(const struct braid_row *row, size_t first, size_t count, double *buffer) {
  switch (row->type) {
#define CASE(tag, name, ctype, least, most)                                                                            \
  case tag: name##_doubles((const ctype *)row->data + first, count, buffer); break;
    INTEGER_TYPES(CASE)
#undef CASE
    case BRAID_F32: f32_doubles((const float *)row->data + first, count, buffer); break;
    default: return (const double *)row->data + first;
  }
  return buffer;
}

const int64_t *braid_row_integers(const struct braid_row *row, size_t first, size_t count, int64_t *buffer) {
  switch (row->type) {
#define CASE(tag, name, ctype, least, most)                                                                            \
  case tag: name##_integers((const ctype *)row->data + first, count, buffer); break;
    NARROW_TYPES(CASE)
#undef CASE
    default: return (const int64_t *)row->data + first;
  }
  return buffer;
}

void braid_row_set_doubles(struct braid_row *row, size_t first, size_t count, const double *values) {
  switch (row->type) {
#define CASE(tag, name, ctype, least, most)                                                                            \
  case tag: name##_set_doubles(values, count, (ctype *)row->data + first); break;
    INTEGER_TYPES(CASE)
#undef CASE
    case BRAID_F32: f32_set_doubles(values, count, (float *)row->data + first); break;
    default: memcpy((double *)row->data + first, values, count * sizeof *values);
  }
}

void braid_row_set_integers(struct braid_row *row, size_t first, size_t count, const int64_t *values) {
  switch (row->type) {
#define CASE(tag, name, ctype, least, most)                                                                            \
  case tag: name##_set_integers(values, count, (ctype *)row->data + first); break;
    NARROW_TYPES(CASE)
#undef CASE
    default: memcpy((int64_t *)row->data + first, values, count * sizeof *values);
  }
}

void braid_row_fit_integers(struct braid_row *row, size_t first, size_t count, const int64_t *values,
                            bool is_unsigned) {
  switch (row->type) {
#define CASE(tag, name, ctype, least, most)                                                                            \
  case tag: name##_fit(values, count, (ctype *)row->data + first, is_unsigned); break;
    FIT_TYPES(CASE)
#undef CASE
    default: memcpy((int64_t *)row->data + first, values, count * sizeof *values);
  }
}
