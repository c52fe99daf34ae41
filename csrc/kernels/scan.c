/* SPDX-License-Identifier: MIT
 * Two passes: the value of each chunk, and then the running values, beginning with that of the chunks before. */
#include "kernels/scan.h"

#include <math.h>
#include <stdlib.h>

struct value {
  double number;
  int64_t integer; /* of u64: with the bias of kernels/row.h for minima and maxima */
};

struct scan {
  enum braid_scan_kind kind;
  const struct braid_row *from;
  struct braid_row *to;
  struct value *before; /* for each chunk: first its value, then that of the chunks before it */
  int64_t bias;
  bool is_float;
};

static struct value neutral(enum braid_scan_kind kind) {
  switch (kind) {
    case BRAID_SCAN_PRODUCT: return (struct value){1, 1};
    case BRAID_SCAN_LEAST: return (struct value){INFINITY, INT64_MAX};
    case BRAID_SCAN_MOST: return (struct value){-INFINITY, INT64_MIN};
    default: return (struct value){0, 0};
  }
}

static inline double least_number(double a, double b) { return a != a || a < b ? a : b; }
static inline double most_number(double a, double b) { return a != a || a > b ? a : b; }
static inline int64_t sum_of(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t product_of(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

/* The running values of a block, which begin with `value`. `to` may be `from`. */
static double run_numbers(enum braid_scan_kind kind, const double *from, size_t count, double value, double *to) {
  switch (kind) {
    case BRAID_SCAN_PRODUCT:
      for (size_t i = 0; i < count; i++) to[i] = value *= from[i];
      break;
    case BRAID_SCAN_LEAST:
      for (size_t i = 0; i < count; i++) to[i] = value = least_number(value, from[i]);
      break;
    case BRAID_SCAN_MOST:
      for (size_t i = 0; i < count; i++) to[i] = value = most_number(value, from[i]);
      break;
    default:
      for (size_t i = 0; i < count; i++) to[i] = value += from[i];
  }
  return value;
}

static int64_t run_integers(const struct scan *this, const int64_t *from, size_t count, int64_t value, int64_t *to) {
  int64_t bias = this->bias;
  switch (this->kind) {
    case BRAID_SCAN_PRODUCT:
      for (size_t i = 0; i < count; i++) to[i] = value = product_of(value, from[i]);
      break;
    case BRAID_SCAN_LEAST:
      for (size_t i = 0; i < count; i++) {
        int64_t next = from[i] ^ bias;
        value = next < value ? next : value;
        to[i] = value ^ bias;
      }
      break;
    case BRAID_SCAN_MOST:
      for (size_t i = 0; i < count; i++) {
        int64_t next = from[i] ^ bias;
        value = next > value ? next : value;
        to[i] = value ^ bias;
      }
      break;
    default:
      for (size_t i = 0; i < count; i++) to[i] = value = sum_of(value, from[i]);
  }
  return value;
}

static struct value join(enum braid_scan_kind kind, struct value a, struct value b) {
  switch (kind) {
    case BRAID_SCAN_PRODUCT: return (struct value){a.number * b.number, product_of(a.integer, b.integer)};
    case BRAID_SCAN_LEAST:
      return (struct value){least_number(a.number, b.number), a.integer < b.integer ? a.integer : b.integer};
    case BRAID_SCAN_MOST:
      return (struct value){most_number(a.number, b.number), a.integer > b.integer ? a.integer : b.integer};
    default: return (struct value){a.number + b.number, sum_of(a.integer, b.integer)};
  }
}

/* It must compute in the same order as the second pass. */
static void reduce_chunk(void *context, size_t first, size_t last) {
  struct scan *this = context;
  double numbers[BRAID_ROW_BLOCK];
  int64_t integers[BRAID_ROW_BLOCK];
  struct value value = neutral(this->kind);
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    if (this->is_float)
      value.number =
          run_numbers(this->kind, braid_row_doubles(this->from, at, count, numbers), count, value.number, numbers);
    else
      value.integer =
          run_integers(this, braid_row_integers(this->from, at, count, integers), count, value.integer, integers);
  }
  this->before[first / BRAID_ROW_CHUNK] = value;
}

static void scan_chunk(void *context, size_t first, size_t last) {
  struct scan *this = context;
  double numbers[BRAID_ROW_BLOCK];
  int64_t integers[BRAID_ROW_BLOCK];
  struct value before = this->before[first / BRAID_ROW_CHUNK], value = before;
  if (this->kind == BRAID_SCAN_SUM) value.number = 0;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    if (this->is_float) {
      const double *from = braid_row_doubles(this->from, at, count, numbers);
      value.number = run_numbers(this->kind, from, count, value.number, numbers);
      if (this->kind == BRAID_SCAN_SUM)
        for (size_t i = 0; i < count; i++) numbers[i] += before.number;
      braid_row_set_doubles(this->to, at, count, numbers);
    } else {
      const int64_t *from = braid_row_integers(this->from, at, count, integers);
      value.integer = run_integers(this, from, count, value.integer, integers);
      braid_row_set_integers(this->to, at, count, integers);
    }
  }
}

static void add_before(struct scan *this, size_t chunks) {
  struct value value = neutral(this->kind);
  for (size_t i = 0; i < chunks; i++) {
    struct value here = this->before[i];
    this->before[i] = value;
    value = join(this->kind, value, here);
  }
}

enum braid_status braid_scan(struct braid_team *team, enum braid_scan_kind kind, const struct braid_row *from,
                             struct braid_row *to) {
  size_t chunks = from->count / BRAID_ROW_CHUNK + 1;
  struct scan this = {.kind = kind, .from = from, .to = to, .is_float = braid_row_is_float(from->type)};
  bool whole = this.is_float && kind == BRAID_SCAN_PRODUCT;
  this.bias = braid_row_bias(from->type);
  this.before = malloc(chunks * sizeof *this.before);
  if (!this.before) return BRAID_NO_MEMORY;
  this.before[0] = neutral(kind);
  bool done = whole || braid_team_for(team, from->count, BRAID_ROW_CHUNK, reduce_chunk, &this);
  if (done) {
    if (!whole) add_before(&this, (from->count + BRAID_ROW_CHUNK - 1) / BRAID_ROW_CHUNK);
    done = braid_team_for(team, from->count, whole ? from->count + 1 : BRAID_ROW_CHUNK, scan_chunk, &this);
  }
  free(this.before);
  return done ? BRAID_OK : BRAID_CANCELLED;
}
