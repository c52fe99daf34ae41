/* SPDX-License-Identifier: MIT
 * Elements are converted to unsigned keys of the same order, the keys are sorted (radix.h), and converted back. 64-bit
 * keys are stored in the result's memory. */
#include "kernels/sort.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct element {
  uint64_t key, place;
};

#define RADIX_NAME wide
#define RADIX_ELEMENT uint64_t
#define RADIX_KEY(element) (element)
#include "kernels/radix.h"
#undef RADIX_NAME
#undef RADIX_ELEMENT
#undef RADIX_KEY

#define RADIX_NAME narrow
#define RADIX_ELEMENT uint32_t
#define RADIX_KEY(element) ((uint64_t)(element))
#include "kernels/radix.h"
#undef RADIX_NAME
#undef RADIX_ELEMENT
#undef RADIX_KEY

#define RADIX_NAME placed
#define RADIX_ELEMENT struct element
#define RADIX_KEY(element) ((element).key)
#include "kernels/radix.h"

/* Memory that will be written completely: huge pages avoid most of its page faults. */
static void *scratch_new(size_t count, size_t width) {
  size_t size = count * width;
  char *memory = malloc(size ? size : 1);
#ifdef MADV_HUGEPAGE
  size_t page = (size_t)1 << 21;
  if (memory && size >= 2 * page) madvise(memory + (page - (uintptr_t)memory % page), size - page, MADV_HUGEPAGE);
#endif
  return memory;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

#define NAN_KEY UINT64_MAX /* after the keys of both infinities, in either order */

static inline uint64_t number_key(double x, bool descending) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits ^= (bits >> 63 ? UINT64_MAX : UINT64_C(1) << 63);
  if (descending) bits = ~bits;
  return x == x ? bits : NAN_KEY;
}

static inline double key_number(uint64_t key, bool descending) {
  uint64_t bits = descending ? ~key : key;
  bits ^= (bits >> 63 ? UINT64_C(1) << 63 : UINT64_MAX);
  double x;
  memcpy(&x, &bits, sizeof x);
  return key == NAN_KEY ? NAN : x;
}

static inline uint32_t float_key(float x, bool descending) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits ^= (bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31);
  if (descending) bits = ~bits;
  return x == x ? bits : UINT32_MAX;
}

static inline float key_float(uint32_t key, bool descending) {
  uint32_t bits = descending ? ~key : key;
  bits ^= (bits >> 31 ? UINT32_C(1) << 31 : UINT32_MAX);
  float x;
  memcpy(&x, &bits, sizeof x);
  return key == UINT32_MAX ? NAN : x;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

struct sort {
  const struct braid_row *from;
  struct braid_row *to;
  bool descending;
  void *keys; /* 64 bits: in the memory of `to`; 32 bits: allocated */
  const int64_t *order;
};

static void wide_keys(void *context, size_t first, size_t last) {
  struct sort *this = context;
  uint64_t *keys = this->keys;
  if (this->from->type == BRAID_F64) {
    const double *from = this->from->data;
    for (size_t i = first; i < last; i++) keys[i] = number_key(from[i], this->descending);
  } else {
    const uint64_t *from = this->from->data;
    uint64_t flip = (this->from->type == BRAID_I64 ? UINT64_C(1) << 63 : 0) ^ (this->descending ? UINT64_MAX : 0);
    for (size_t i = first; i < last; i++) keys[i] = from[i] ^ flip;
  }
}

static void wide_values(void *context, size_t first, size_t last) {
  struct sort *this = context;
  uint64_t *keys = this->keys;
  if (this->to->type == BRAID_F64) {
    for (size_t i = first; i < last; i++) {
      double x = key_number(keys[i], this->descending);
      memcpy(&keys[i], &x, sizeof x);
    }
  } else {
    uint64_t flip = (this->to->type == BRAID_I64 ? UINT64_C(1) << 63 : 0) ^ (this->descending ? UINT64_MAX : 0);
    for (size_t i = first; i < last; i++) keys[i] ^= flip;
  }
}

/* XOR with this turns the order of the type into that of unsigned integers. */
static uint32_t narrow_flip(const struct sort *this) {
  enum braid_array_type type = this->from->type;
  bool is_signed = type == BRAID_I32 || type == BRAID_I16 || type == BRAID_I8;
  return (is_signed ? UINT32_C(1) << 31 : 0) ^ (this->descending ? UINT32_MAX : 0);
}

static void narrow_keys(void *context, size_t first, size_t last) {
  struct sort *this = context;
  uint32_t *keys = this->keys, flip = narrow_flip(this);
  if (this->from->type == BRAID_F32) {
    const float *from = this->from->data;
    for (size_t i = first; i < last; i++) keys[i] = float_key(from[i], this->descending);
    return;
  }
  int64_t buffer[BRAID_ROW_BLOCK];
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    const int64_t *from = braid_row_integers(this->from, at, count, buffer);
    for (size_t i = 0; i < count; i++) keys[at + i] = (uint32_t)from[i] ^ flip;
  }
}

static void narrow_values(void *context, size_t first, size_t last) {
  struct sort *this = context;
  const uint32_t *keys = this->keys;
  uint32_t flip = narrow_flip(this);
  if (this->to->type == BRAID_F32) {
    float *to = this->to->data;
    for (size_t i = first; i < last; i++) to[i] = key_float(keys[i], this->descending);
    return;
  }
  int64_t buffer[BRAID_ROW_BLOCK];
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    for (size_t i = 0; i < count; i++) buffer[i] = (int64_t)(keys[at + i] ^ flip);
    braid_row_set_integers(this->to, at, count, buffer);
  }
}

static enum braid_status sort_wide(struct braid_team *team, struct sort *this, size_t count) {
  uint64_t *spare = scratch_new(count, sizeof *spare);
  if (!spare) return BRAID_NO_MEMORY;
  enum braid_status status = BRAID_CANCELLED;
  this->keys = this->to->data;
  if (braid_team_for(team, count, BRAID_ROW_CHUNK, wide_keys, this))
    status = wide_divide(team, this->keys, spare, count, true);
  free(spare);
  if (status) return status;
  return braid_team_for(team, count, BRAID_ROW_CHUNK, wide_values, this) ? BRAID_OK : BRAID_CANCELLED;
}

static enum braid_status sort_narrow(struct braid_team *team, struct sort *this, size_t count) {
  uint32_t *keys = scratch_new(count, 2 * sizeof *keys);
  if (!keys) return BRAID_NO_MEMORY;
  enum braid_status status = BRAID_CANCELLED;
  this->keys = keys;
  if (braid_team_for(team, count, BRAID_ROW_CHUNK, narrow_keys, this))
    status = narrow_divide(team, keys, keys + count, count, true);
  if (!status && !braid_team_for(team, count, BRAID_ROW_CHUNK, narrow_values, this)) status = BRAID_CANCELLED;
  free(keys);
  return status;
}

enum braid_status braid_sort(struct braid_team *team, const struct braid_row *from, struct braid_row *to,
                             bool descending) {
  struct sort this = {.from = from, .to = to, .descending = descending};
  bool wide = braid_array_width(from->type) == sizeof(uint64_t);
  return (wide ? sort_wide : sort_narrow)(team, &this, from->count);
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

struct ordering {
  const struct braid_row *row;
  bool descending;
  struct element *elements;
  int64_t *order;
};

static void placed_keys(void *context, size_t first, size_t last) {
  struct ordering *this = context;
  double numbers[BRAID_ROW_BLOCK];
  int64_t integers[BRAID_ROW_BLOCK];
  bool is_float = braid_row_is_float(this->row->type);
  int64_t flip = ~braid_row_bias(this->row->type) ^ (this->descending ? INT64_MIN : INT64_MAX);
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    struct element *elements = this->elements + at;
    if (is_float) {
      const double *from = braid_row_doubles(this->row, at, count, numbers);
      for (size_t i = 0; i < count; i++) /* + 0.0 turns -0.0 into 0.0 */
        elements[i] = (struct element){number_key(from[i] + 0.0, this->descending), at + i + 1};
    } else {
      const int64_t *from = braid_row_integers(this->row, at, count, integers);
      for (size_t i = 0; i < count; i++) elements[i] = (struct element){(uint64_t)(from[i] ^ flip), at + i + 1};
    }
  }
}

static void placed_places(void *context, size_t first, size_t last) {
  struct ordering *this = context;
  for (size_t i = first; i < last; i++) this->order[i] = (int64_t)this->elements[i].place;
}

enum braid_status braid_sort_order(struct braid_team *team, const struct braid_row *row, bool descending,
                                   int64_t *order) {
  size_t count = row->count;
  struct element *elements = scratch_new(count, 2 * sizeof *elements);
  if (!elements) return BRAID_NO_MEMORY;
  struct ordering this = {row, descending, elements, order};
  enum braid_status status = BRAID_CANCELLED;
  if (braid_team_for(team, count, BRAID_ROW_CHUNK, placed_keys, &this))
    status = placed_divide(team, elements, elements + count, count, true);
  if (!status && !braid_team_for(team, count, BRAID_ROW_CHUNK, placed_places, &this)) status = BRAID_CANCELLED;
  free(elements);
  return status;
}

static void take_chunk(void *context, size_t first, size_t last) {
  struct sort *this = context;
  size_t width = braid_array_width(this->from->type);
  const char *from = this->from->data;
  char *to = this->to->data;
  for (size_t i = first; i < last; i++) memcpy(to + i * width, from + (size_t)(this->order[i] - 1) * width, width);
}

enum braid_status braid_sort_take(struct braid_team *team, const struct braid_row *from, const int64_t *order,
                                  struct braid_row *to) {
  struct sort this = {.from = from, .to = to, .order = order};
  return braid_team_for(team, from->count, BRAID_ROW_CHUNK, take_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
}
