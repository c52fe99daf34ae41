/* SPDX-License-Identifier: MIT
 * A part of the rows has a line of values of its own, one for each result column. */
#include "kernels/axis.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = BRAID_ROW_BLOCK, PARTS = 64, LANES = 8 };

union cell {
  double number;
  int64_t integer;
};

static double join_numbers(enum braid_axis_value what, double a, double b) {
  if (what == BRAID_AXIS_SUM) return a + b;
  if (a != a) return a;
  if (b != b) return b;
  return what == BRAID_AXIS_LEAST ? (b < a ? b : a) : b > a ? b : a;
}

static int64_t join_integers(enum braid_axis_value what, int64_t a, int64_t b) {
  if (what == BRAID_AXIS_SUM) return (int64_t)((uint64_t)a + (uint64_t)b);
  return what == BRAID_AXIS_LEAST ? (b < a ? b : a) : b > a ? b : a;
}

/* ---- one result for each row ------------------------------------------------------------------------------------- */

static double reduce_numbers(enum braid_axis_value what, const double *values, size_t count) {
  double lanes[LANES];
  size_t first = count < LANES ? count : LANES;
  memcpy(lanes, values, first * sizeof *lanes);
  for (size_t i = first; i < count; i++) lanes[i % LANES] = join_numbers(what, lanes[i % LANES], values[i]);
  for (size_t i = 1; i < first; i++) lanes[0] = join_numbers(what, lanes[0], lanes[i]);
  return lanes[0];
}

static double row_numbers(const struct braid_axis_call *call, size_t row) {
  double buffer[BLOCK], result = 0;
  for (size_t at = 0, count; at < call->columns; at += count) {
    count = call->columns - at < BLOCK ? call->columns - at : BLOCK;
    const double *values = braid_row_doubles(&call->matrix, row * call->columns + at, count, buffer);
    double part = reduce_numbers(call->what, values, count);
    result = at ? join_numbers(call->what, result, part) : part;
  }
  return result;
}

static int64_t row_integers(const struct braid_axis_call *call, size_t row) {
  int64_t buffer[BLOCK], result = 0;
  for (size_t at = 0, count; at < call->columns; at += count) {
    count = call->columns - at < BLOCK ? call->columns - at : BLOCK;
    const int64_t *values = braid_row_integers(&call->matrix, row * call->columns + at, count, buffer);
    for (size_t i = 0; i < count; i++) result = at + i ? join_integers(call->what, result, values[i]) : values[i];
  }
  return result;
}

static void reduce_rows(void *context, size_t first, size_t last) {
  const struct braid_axis_call *call = context;
  for (size_t row = first; row < last; row++)
    if (braid_row_is_float(call->matrix.type))
      ((double *)call->out)[row] = row_numbers(call, row);
    else
      ((int64_t *)call->out)[row] = row_integers(call, row);
}

/* ---- one result for each column ---------------------------------------------------------------------------------- */

struct columns {
  struct braid_axis_call *call;
  union cell *cells; /* for each part: a line of values */
  size_t size;       /* rows of a part */
};

static void join_line(const struct braid_axis_call *call, union cell *line, size_t row, bool is_first) {
  double numbers[BLOCK];
  int64_t integers[BLOCK];
  for (size_t at = 0, count; at < call->columns; at += count) {
    count = call->columns - at < BLOCK ? call->columns - at : BLOCK;
    size_t from = row * call->columns + at;
    if (braid_row_is_float(call->matrix.type)) {
      const double *values = braid_row_doubles(&call->matrix, from, count, numbers);
      for (size_t i = 0; i < count; i++)
        line[at + i].number = is_first ? values[i] : join_numbers(call->what, line[at + i].number, values[i]);
    } else {
      const int64_t *values = braid_row_integers(&call->matrix, from, count, integers);
      for (size_t i = 0; i < count; i++)
        line[at + i].integer = is_first ? values[i] : join_integers(call->what, line[at + i].integer, values[i]);
    }
  }
}

static void reduce_part(void *context, size_t first, size_t last) {
  struct columns *this = context;
  union cell *line = this->cells + first / this->size * this->call->columns;
  for (size_t row = first; row < last; row++) join_line(this->call, line, row, row == first);
}

static void join_parts(const struct columns *this, size_t parts) {
  const struct braid_axis_call *call = this->call;
  bool is_float = braid_row_is_float(call->matrix.type);
  for (size_t step = 1; step < parts; step *= 2)
    for (size_t part = 0; part + step < parts; part += 2 * step) {
      union cell *a = this->cells + part * call->columns, *b = this->cells + (part + step) * call->columns;
      for (size_t i = 0; i < call->columns; i++)
        if (is_float)
          a[i].number = join_numbers(call->what, a[i].number, b[i].number);
        else
          a[i].integer = join_integers(call->what, a[i].integer, b[i].integer);
    }
  memcpy(call->out, this->cells, call->columns * sizeof *this->cells);
}

static void reduce_columns(struct braid_team *team, struct braid_axis_call *call) {
  size_t parts = call->rows < PARTS ? call->rows : PARTS;
  struct columns this = {.call = call, .size = (call->rows + parts - 1) / parts};
  parts = (call->rows + this.size - 1) / this.size;
  this.cells = calloc(parts * call->columns, sizeof *this.cells);
  if (!this.cells) {
    call->status = BRAID_NO_MEMORY;
    return;
  }
  if (braid_team_for(team, call->rows, this.size, reduce_part, &this))
    join_parts(&this, parts);
  else
    call->status = BRAID_CANCELLED;
  free(this.cells);
}

void braid_axis(struct braid_team *team, void *arguments) {
  struct braid_axis_call *call = arguments;
  if (call->along_rows)
    reduce_columns(team, call);
  else if (!braid_team_for(team, call->rows, 0, reduce_rows, call))
    call->status = BRAID_CANCELLED;
}
