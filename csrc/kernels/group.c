/* SPDX-License-Identifier: MIT
 * A block of keys becomes a block of places; then each column is a loop of its own over values and places. */
#include "kernels/group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = BRAID_ROW_BLOCK, PARTS = 64, PART_LEAST = 16 * BLOCK };

union cell {
  double number;
  int64_t integer;
};

struct grouping {
  struct braid_group_call *call;
  size_t parts, size; /* `size`: elements of a part */
  union cell *cells;  /* for each part, for each column, for each group */
  atomic_size_t bad;
};

static union cell *cells_of(const struct grouping *this, size_t part, size_t column) {
  return this->cells + (part * this->call->count + column) * this->call->groups;
}

static union cell neutral(const struct braid_group_column *column) {
  union cell cell = {.integer = 0};
  if (column->what == BRAID_GROUP_LEAST || column->what == BRAID_GROUP_MOST) {
    bool is_least = column->what == BRAID_GROUP_LEAST;
    if (column->is_float)
      cell.number = is_least ? INFINITY : -INFINITY;
    else
      cell.integer = is_least ? INT64_MAX : INT64_MIN;
  } else if (column->is_float) {
    cell.number = 0;
  }
  return cell;
}

static double least_number(double a, double b) { return b != b || b < a ? b : a; }
static double most_number(double a, double b) { return b != b || b > a ? b : a; }

static void add_numbers(enum braid_group_value what, union cell *cells, const uint32_t *place, const double *values,
                        size_t count) {
  switch (what) {
    case BRAID_GROUP_LEAST:
      for (size_t i = 0; i < count; i++)
        if (cells[place[i]].number == cells[place[i]].number)
          cells[place[i]].number = least_number(cells[place[i]].number, values[i]);
      return;
    case BRAID_GROUP_MOST:
      for (size_t i = 0; i < count; i++)
        if (cells[place[i]].number == cells[place[i]].number)
          cells[place[i]].number = most_number(cells[place[i]].number, values[i]);
      return;
    default:
      for (size_t i = 0; i < count; i++) cells[place[i]].number += values[i];
  }
}

static int64_t sum_of(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

static void add_integers(enum braid_group_value what, union cell *cells, const uint32_t *place, const int64_t *values,
                         size_t count) {
  switch (what) {
    case BRAID_GROUP_LEAST:
      for (size_t i = 0; i < count; i++)
        if (values[i] < cells[place[i]].integer) cells[place[i]].integer = values[i];
      return;
    case BRAID_GROUP_MOST:
      for (size_t i = 0; i < count; i++)
        if (values[i] > cells[place[i]].integer) cells[place[i]].integer = values[i];
      return;
    default:
      for (size_t i = 0; i < count; i++) cells[place[i]].integer = sum_of(cells[place[i]].integer, values[i]);
  }
}

static void add_block(const struct grouping *this, size_t part, size_t column, const uint32_t *place, size_t at,
                      size_t count) {
  const struct braid_group_column *about = &this->call->columns[column];
  union cell *cells = cells_of(this, part, column);
  double numbers[BLOCK];
  int64_t integers[BLOCK];
  if (about->what == BRAID_GROUP_COUNT) {
    for (size_t i = 0; i < count; i++) cells[place[i]].integer++;
  } else if (about->what == BRAID_GROUP_FIRST) {
    for (size_t i = 0; i < count; i++)
      if (!cells[place[i]].integer) cells[place[i]].integer = (int64_t)(at + i) + 1;
  } else if (about->is_float) {
    add_numbers(about->what, cells, place, braid_row_doubles(about->values, at, count, numbers), count);
  } else {
    add_integers(about->what, cells, place, braid_row_integers(about->values, at, count, integers), count);
  }
}

static void note_bad(struct grouping *this, size_t at) {
  size_t known = atomic_load(&this->bad);
  while (at < known && !atomic_compare_exchange_weak(&this->bad, &known, at)) {
  }
}

/* Turns keys of the usual type into places without a detour; false: one may be in no group. */
static bool place_i32(const struct braid_group_call *call, size_t at, size_t count, uint32_t *place) {
  if (call->keys->type != BRAID_I32 || call->low < INT32_MIN || call->low > INT32_MAX) return false;
  const int32_t *keys = (const int32_t *)call->keys->data + at;
  uint32_t low = (uint32_t)call->low, groups = (uint32_t)call->groups, wrong = 0;
  for (size_t i = 0; i < count; i++) {
    place[i] = (uint32_t)keys[i] - low;
    wrong |= place[i] >= groups;
  }
  return !wrong;
}

/* Turns keys into places. False: one is in no group. */
static bool place_keys(struct grouping *this, size_t at, size_t count, uint32_t *place) {
  int64_t buffer[BLOCK];
  if (place_i32(this->call, at, count, place)) return true;
  const int64_t *keys = braid_row_integers(this->call->keys, at, count, buffer);
  uint64_t low = (uint64_t)this->call->low, groups = this->call->groups, wrong = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t key = (uint64_t)keys[i] - low;
    wrong |= key >= groups;
    place[i] = (uint32_t)key;
  }
  if (!wrong) return true;
  size_t i = 0;
  while ((uint64_t)keys[i] - low < groups) i++;
  note_bad(this, at + i);
  return false;
}

/* The usual case in one loop: sums of doubles by keys of i32. False: the case is another one, or a key may be in no
 * group. */
static bool sum_part(const struct grouping *this, size_t part, size_t first, size_t last) {
  const struct braid_group_call *call = this->call;
  const struct braid_group_column *column = &call->columns[0];
  bool usual = call->count == 1 && column->what == BRAID_GROUP_SUM && column->is_float &&
               column->values->type == BRAID_F64 && call->keys->type == BRAID_I32 && call->low >= INT32_MIN &&
               call->low <= INT32_MAX;
  if (!usual) return false;
  const int32_t *keys = call->keys->data;
  const double *values = column->values->data;
  union cell *cells = cells_of(this, part, 0);
  uint32_t low = (uint32_t)call->low, groups = (uint32_t)call->groups;
  for (size_t i = first; i < last; i++) {
    uint32_t place = (uint32_t)keys[i] - low;
    if (place >= groups) return false;
    cells[place].number += values[i];
  }
  return true;
}

static void group_part(void *context, size_t first, size_t last) {
  struct grouping *this = context;
  size_t part = first / this->size, columns = this->call->count;
  for (size_t column = 0; column < columns; column++) {
    union cell start = neutral(&this->call->columns[column]), *cells = cells_of(this, part, column);
    for (size_t group = 0; group < this->call->groups; group++) cells[group] = start;
  }
  uint32_t place[BLOCK];
  if (sum_part(this, part, first, last)) return;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BLOCK ? last - at : BLOCK;
    if (!place_keys(this, at, count, place)) return;
    for (size_t column = 0; column < columns; column++) add_block(this, part, column, place, at, count);
  }
}

/* Joins the values of two neighbouring parts. */
static void join(const struct grouping *this, size_t to, size_t from, size_t column) {
  const struct braid_group_column *about = &this->call->columns[column];
  union cell *a = cells_of(this, to, column), *b = cells_of(this, from, column);
  for (size_t i = 0; i < this->call->groups; i++) {
    if (about->what == BRAID_GROUP_FIRST)
      a[i].integer = a[i].integer ? a[i].integer : b[i].integer;
    else if (about->what == BRAID_GROUP_LEAST && about->is_float)
      a[i].number = a[i].number != a[i].number ? a[i].number : least_number(a[i].number, b[i].number);
    else if (about->what == BRAID_GROUP_MOST && about->is_float)
      a[i].number = a[i].number != a[i].number ? a[i].number : most_number(a[i].number, b[i].number);
    else if (about->what == BRAID_GROUP_LEAST)
      a[i].integer = b[i].integer < a[i].integer ? b[i].integer : a[i].integer;
    else if (about->what == BRAID_GROUP_MOST)
      a[i].integer = b[i].integer > a[i].integer ? b[i].integer : a[i].integer;
    else if (about->is_float)
      a[i].number += b[i].number;
    else
      a[i].integer = sum_of(a[i].integer, b[i].integer);
  }
}

static void finish(const struct grouping *this) {
  for (size_t column = 0; column < this->call->count; column++) {
    for (size_t step = 1; step < this->parts; step *= 2)
      for (size_t part = 0; part + step < this->parts; part += 2 * step) join(this, part, part + step, column);
    memcpy(this->call->columns[column].out, cells_of(this, 0, column), this->call->groups * sizeof *this->cells);
  }
}

void braid_group(struct braid_team *team, void *arguments) {
  struct braid_group_call *call = arguments;
  size_t count = call->keys->count, parts = count / PART_LEAST;
  size_t fit = call->groups ? count / call->groups : 1; /* the cells of all parts are at most as many as the elements */
  if (parts > fit) parts = fit;
  parts = parts < 1 ? 1 : parts > PARTS ? PARTS : parts;
  struct grouping this = {.call = call, .parts = parts, .bad = SIZE_MAX};
  this.size = (count + parts - 1) / parts;
  if (this.size == 0) this.size = 1;
  this.parts = count ? (count + this.size - 1) / this.size : 1;
  this.cells = calloc(this.parts * call->count * call->groups + 1, sizeof *this.cells);
  if (!this.cells) {
    call->status = BRAID_NO_MEMORY;
    return;
  }
  if (count == 0) group_part(&this, 0, 0);
  if (!braid_team_for(team, count, this.size, group_part, &this)) call->status = BRAID_CANCELLED;
  call->bad = atomic_load(&this.bad);
  call->out_of_range = call->bad != SIZE_MAX;
  if (!call->status && !call->out_of_range) finish(&this);
  free(this.cells);
}
