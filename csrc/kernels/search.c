/* SPDX-License-Identifier: MIT
 * Binary searches without branches, generated for each element type. */
#include "kernels/search.h"

struct search {
  const struct braid_row *sorted, *values;
  struct braid_row *places;
  bool right, is_float;
};

enum { SEARCH_CHUNK = 4 * BRAID_ROW_BLOCK };

static inline bool number_before(double a, double b) { return a < b || (b != b && a == a); }

#define TYPES(X)                                                                                                       \
  X(BRAID_F64, f64, double)                                                                                            \
  X(BRAID_F32, f32, float)                                                                                             \
  X(BRAID_I64, i64, int64_t)                                                                                           \
  X(BRAID_I32, i32, int32_t)                                                                                           \
  X(BRAID_I16, i16, int16_t)                                                                                           \
  X(BRAID_I8, i8, int8_t)                                                                                              \
  X(BRAID_U64, u64, uint64_t)                                                                                          \
  X(BRAID_U32, u32, uint32_t)                                                                                          \
  X(BRAID_U16, u16, uint16_t)                                                                                          \
  X(BRAID_U8, u8, uint8_t)

/* Returns one more than the number of elements before the value. */
#define PLACE(name, ctype, kind, value_type, convert, before)                                                          \
  static int64_t name##_place_##kind(const ctype *sorted, size_t count, value_type value, bool right) {                \
    const ctype *base = sorted;                                                                                        \
    while (count > 0) {                                                                                                \
      size_t half = (count + 1) / 2;                                                                                   \
      value_type element = convert(base[half - 1]);                                                                    \
      bool pass = right ? !before(value, element) : before(element, value);                                            \
      base += pass ? half : 0;                                                                                         \
      count = pass ? count - half : half - 1;                                                                          \
    }                                                                                                                  \
    return base - sorted + 1;                                                                                          \
  }

#define AS_NUMBER(x) ((double)(x))
#define AS_INTEGER(x) ((int64_t)(x) ^ bias)
#define INTEGER_BEFORE(a, b) ((a) < (b))

#define NUMBERS(tag, name, ctype) PLACE(name, ctype, number, double, AS_NUMBER, number_before)
TYPES(NUMBERS)
#define INTEGERS(tag, name, ctype) PLACE(name, ctype, integer, int64_t, AS_INTEGER, INTEGER_BEFORE)
#define bias INT64_C(0)
INTEGERS(BRAID_I64, i64, int64_t)
INTEGERS(BRAID_I32, i32, int32_t)
INTEGERS(BRAID_I16, i16, int16_t)
INTEGERS(BRAID_I8, i8, int8_t)
INTEGERS(BRAID_U32, u32, uint32_t)
INTEGERS(BRAID_U16, u16, uint16_t)
INTEGERS(BRAID_U8, u8, uint8_t)
#undef bias
#define bias INT64_MIN
INTEGERS(BRAID_U64, u64, uint64_t)
#undef bias

static void search_numbers(struct search *this, const double *values, size_t count, int64_t *places) {
  const void *data = this->sorted->data;
  size_t length = this->sorted->count;
  switch (this->sorted->type) {
#define CASE(tag, name, ctype)                                                                                         \
  case tag:                                                                                                            \
    for (size_t i = 0; i < count; i++) places[i] = name##_place_number(data, length, values[i], this->right);          \
    break;
    TYPES(CASE)
#undef CASE
    default: break;
  }
}

static void search_integers(struct search *this, const int64_t *values, size_t count, int64_t *places) {
  const void *data = this->sorted->data;
  size_t length = this->sorted->count;
  int64_t bias = braid_row_bias(this->sorted->type);
  switch (this->sorted->type) {
#define CASE(tag, name)                                                                                                \
  case tag:                                                                                                            \
    for (size_t i = 0; i < count; i++) places[i] = name##_place_integer(data, length, values[i] ^ bias, this->right);  \
    break;
    CASE(BRAID_I64, i64)
    CASE(BRAID_I32, i32)
    CASE(BRAID_I16, i16)
    CASE(BRAID_I8, i8)
    CASE(BRAID_U64, u64)
    CASE(BRAID_U32, u32)
    CASE(BRAID_U16, u16)
    CASE(BRAID_U8, u8)
#undef CASE
    default: break;
  }
}

static void search_chunk(void *context, size_t first, size_t last) {
  struct search *this = context;
  double numbers[BRAID_ROW_BLOCK];
  int64_t integers[BRAID_ROW_BLOCK], *places = this->places->data;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    if (this->is_float)
      search_numbers(this, braid_row_doubles(this->values, at, count, numbers), count, places + at);
    else
      search_integers(this, braid_row_integers(this->values, at, count, integers), count, places + at);
  }
}

enum braid_status braid_search(struct braid_team *team, const struct braid_row *sorted, const struct braid_row *values,
                               bool right, struct braid_row *places) {
  struct search this = {sorted, values, places, right, false};
  this.is_float = braid_row_is_float(sorted->type) || braid_row_is_float(values->type);
  return braid_team_for(team, values->count, SEARCH_CHUNK, search_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
}
