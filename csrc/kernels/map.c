/* SPDX-License-Identifier: MIT
 * Each thread of the team has blocks of its own for registers and for what is not f64 already; blocks full of each
 * constant are for all. */
#include "map.h"

#include <stdlib.h>

enum { BLOCK = BRAID_ROW_BLOCK };

struct map {
  const struct braid_expression *expression;
  const struct braid_map_value *values;
  struct braid_row *result;
  double (*numbers)[BLOCK]; /* of each variable (when it is a number) and constant */
  double (*scratch)[BLOCK]; /* for each seat: of each variable (when it is a row), then each register */
};

static void set_number(double *block, double value) {
  for (size_t i = 0; i < BLOCK; i++) block[i] = value;
}

/* Steps from the operands' blocks; the last one into the result itself where it is f64. */
static void run_block(struct map *this, const double **variables, double (*registers)[BLOCK], size_t at, size_t count) {
  const struct braid_expression *e = this->expression;
  for (unsigned i = 0; i < e->steps; i++) {
    const struct braid_step *step = &e->step[i];
    const double *from[3];
    for (unsigned k = 0; k < 3; k++) {
      struct braid_slot_number slot = step->from[k];
      from[k] = slot.kind == BRAID_IN_VARIABLE   ? variables[slot.index]
                : slot.kind == BRAID_IN_CONSTANT ? this->numbers[e->names + slot.index]
                                                 : registers[slot.index];
    }
    bool direct = i + 1 == e->steps && this->result->type == BRAID_F64;
    double *to = direct ? (double *)this->result->data + at : registers[step->to];
    braid_operations[step->code].run(to, from[0], from[1], from[2], count);
  }
  if (this->result->type != BRAID_F64)
    braid_row_set_doubles(this->result, at, count, registers[e->step[e->steps - 1].to]);
}

static void map_chunk(void *context, size_t first, size_t last) {
  struct map *this = context;
  const struct braid_expression *e = this->expression;
  double(*scratch)[BLOCK] = this->scratch + braid_team_seat() * (e->names + e->registers);
  const double *variables[BRAID_EXPRESSION_NAMES];
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BLOCK ? last - at : BLOCK;
    for (unsigned i = 0; i < e->names; i++) {
      const struct braid_map_value *value = &this->values[i];
      variables[i] = value->is_row ? braid_row_doubles(&value->row, at, count, scratch[i]) : this->numbers[i];
    }
    run_block(this, variables, scratch + e->names, at, count);
  }
}

enum braid_status braid_map(struct braid_team *team, const struct braid_expression *expression,
                            const struct braid_map_value *values, struct braid_row *result) {
  const struct braid_expression *e = expression;
  struct map this = {e, values, result, NULL, NULL};
  enum braid_status status = BRAID_NO_MEMORY;
  this.numbers = malloc((e->names + e->constants + 1) * sizeof *this.numbers);
  this.scratch = malloc((size_t)braid_team_size(team) * (e->names + e->registers) * sizeof *this.scratch);
  if (this.numbers && this.scratch) {
    for (unsigned i = 0; i < e->names; i++)
      if (!values[i].is_row) set_number(this.numbers[i], values[i].number);
    for (unsigned i = 0; i < e->constants; i++) set_number(this.numbers[e->names + i], e->constant[i]);
    status = braid_team_for(team, result->count, BRAID_ROW_CHUNK, map_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
  }
  free(this.numbers);
  free(this.scratch);
  return status;
}
