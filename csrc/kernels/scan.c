/* SPDX-License-Identifier: MIT
 * Two passes: the sum of each chunk, and then the running sums, beginning with the sum of the chunks before. */
#include "kernels/scan.h"

#include <stdlib.h>

struct before {
  double number;
  uint64_t integer;
};

struct scan {
  const struct braid_row *from;
  struct braid_row *to;
  struct before *before; /* for each chunk: first its sum, then the sum of the chunks before it */
  bool is_float;
};

/* The running sums of a block. `to` may be `from`. */
static double scan_numbers(const double *from, size_t count, double sum, double before, double *to) {
  for (size_t i = 0; i < count; i++) {
    sum += from[i];
    to[i] = before + sum;
  }
  return sum;
}

static uint64_t scan_integers(const int64_t *from, size_t count, uint64_t sum, int64_t *to) {
  for (size_t i = 0; i < count; i++) {
    sum += (uint64_t)from[i];
    to[i] = (int64_t)sum;
  }
  return sum;
}

/* It must add in the same order as scan_numbers. */
static void sum_chunk(void *context, size_t first, size_t last) {
  struct scan *this = context;
  struct before *before = &this->before[first / BRAID_ROW_CHUNK];
  double numbers[BRAID_ROW_BLOCK];
  int64_t integers[BRAID_ROW_BLOCK];
  *before = (struct before){0};
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    if (this->is_float) {
      const double *from = braid_row_doubles(this->from, at, count, numbers);
      for (size_t i = 0; i < count; i++) before->number += from[i];
    } else {
      const int64_t *from = braid_row_integers(this->from, at, count, integers);
      for (size_t i = 0; i < count; i++) before->integer += (uint64_t)from[i];
    }
  }
}

static void scan_chunk(void *context, size_t first, size_t last) {
  struct scan *this = context;
  struct before before = this->before[first / BRAID_ROW_CHUNK];
  double numbers[BRAID_ROW_BLOCK], sum = 0;
  int64_t integers[BRAID_ROW_BLOCK];
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    if (this->is_float) {
      const double *from = braid_row_doubles(this->from, at, count, numbers);
      sum = scan_numbers(from, count, sum, before.number, numbers);
      braid_row_set_doubles(this->to, at, count, numbers);
    } else {
      const int64_t *from = braid_row_integers(this->from, at, count, integers);
      before.integer = scan_integers(from, count, before.integer, integers);
      braid_row_set_integers(this->to, at, count, integers);
    }
  }
}

static void add_before(struct scan *this, size_t chunks) {
  struct before sum = {0};
  for (size_t i = 0; i < chunks; i++) {
    struct before here = this->before[i];
    this->before[i] = sum;
    sum.number += here.number;
    sum.integer += here.integer;
  }
}

enum braid_status braid_scan(struct braid_team *team, const struct braid_row *from, struct braid_row *to) {
  size_t chunks = from->count / BRAID_ROW_CHUNK + 1;
  struct scan this = {from, to, malloc(chunks * sizeof *this.before), braid_row_is_float(from->type)};
  if (!this.before) return BRAID_NO_MEMORY;
  bool done = braid_team_for(team, from->count, BRAID_ROW_CHUNK, sum_chunk, &this);
  if (done) {
    add_before(&this, (from->count + BRAID_ROW_CHUNK - 1) / BRAID_ROW_CHUNK);
    done = braid_team_for(team, from->count, BRAID_ROW_CHUNK, scan_chunk, &this);
  }
  free(this.before);
  return done ? BRAID_OK : BRAID_CANCELLED;
}
