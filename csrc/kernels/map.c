/* SPDX-License-Identifier: MIT
 * Each thread of the team has its own blocks for registers and for converted rows. All threads share one block for each
 * constant, filled with it. A block holds doubles or 64-bit integers. */
#include "kernels/map.h"

#include <stdlib.h>

#include "kernels/integer.h"

enum { BLOCK = BRAID_ROW_BLOCK };

enum domain { DOUBLES, SIGNED, UNSIGNED };

typedef union {
  double number;
  int64_t integer;
} word;

struct map {
  const struct braid_expression *expression;
  const struct braid_map_value *values;
  struct braid_row *result;
  enum domain domain;
  bool direct;            /* the last step writes directly into the result */
  word (*numbers)[BLOCK]; /* a block for each variable that is a number, and for each constant */
  word (*scratch)[BLOCK]; /* for each seat: a block for each variable that is a row, and for each register */
};

/* ---- doubles or integers ---------------------------------------------------------------------------------------- */

struct kinds {
  bool rows, is_float, is_signed, is_unsigned; /* is_unsigned: u64; i64 can hold the narrower types */
};

static void look_at_type(struct kinds *kinds, enum braid_array_type type) {
  kinds->is_float |= braid_row_is_float(type);
  kinds->is_unsigned |= type == BRAID_U64;
  kinds->is_signed |= type == BRAID_I64 || type == BRAID_I32 || type == BRAID_I16 || type == BRAID_I8;
}

static struct kinds look_at(const struct map *this) {
  struct kinds kinds = {0};
  for (unsigned i = 0; i < this->expression->names; i++) {
    const struct braid_map_value *value = &this->values[i];
    if (value->is_row) look_at_type(&kinds, value->row.type);
    kinds.rows |= value->is_row;
    kinds.is_float |= !value->is_row && !value->is_integer;
  }
  if (!kinds.rows) look_at_type(&kinds, this->result->type);
  return kinds;
}

static bool is_unsigned(const struct kinds *kinds) { return kinds->is_unsigned && !kinds->is_signed; }

static enum domain choose(const struct map *this, const struct kinds *kinds) {
  const struct braid_expression *e = this->expression;
  if (!e->whole || kinds->is_float || braid_row_is_float(this->result->type)) return DOUBLES;
  if (is_unsigned(kinds)) return e->negative && e->ordered ? DOUBLES : UNSIGNED;
  return e->large || (kinds->is_unsigned && e->ordered) ? DOUBLES : SIGNED;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

static void set_number(word *block, word value) {
  for (size_t i = 0; i < BLOCK; i++) block[i] = value;
}

static void set_numbers(struct map *this, bool bits) {
  const struct braid_expression *e = this->expression;
  bool doubles = this->domain == DOUBLES;
  for (unsigned i = 0; i < e->names; i++) {
    const struct braid_map_value *value = &this->values[i];
    double number = bits && value->is_integer ? (double)(uint64_t)value->integer : value->number;
    if (!value->is_row) set_number(this->numbers[i], doubles ? (word){number} : (word){.integer = value->integer});
  }
  for (unsigned i = 0; i < e->constants; i++) {
    const struct braid_constant *constant = &e->constant[i];
    set_number(this->numbers[e->names + i], doubles ? (word){constant->number} : (word){.integer = constant->integer});
  }
}

static const void *read_row(const struct map *this, const struct braid_row *row, size_t at, size_t count,
                            void *buffer) {
  return this->domain == DOUBLES ? (const void *)braid_row_doubles(row, at, count, buffer)
                                 : braid_row_integers(row, at, count, buffer);
}

static void run_step(const struct map *this, enum braid_operation_code code, void *to, const void *const from[3],
                     size_t count) {
  if (this->domain == DOUBLES)
    braid_operations[code].run(to, from[0], from[1], from[2], count);
  else if (this->domain == SIGNED)
    braid_integer_operations[code].of_signed(to, from[0], from[1], from[2], count);
  else
    braid_integer_operations[code].of_unsigned(to, from[0], from[1], from[2], count);
}

static void set_result(const struct map *this, size_t at, size_t count, const void *values) {
  if (this->domain == DOUBLES)
    braid_row_set_doubles(this->result, at, count, values);
  else
    braid_row_fit_integers(this->result, at, count, values, this->domain == UNSIGNED);
}

/* Runs all steps for one block. */
static void run_block(struct map *this, const void **variables, word (*registers)[BLOCK], size_t at, size_t count) {
  const struct braid_expression *e = this->expression;
  for (unsigned i = 0; i < e->steps; i++) {
    const struct braid_step *step = &e->step[i];
    const void *from[3];
    for (unsigned k = 0; k < 3; k++) {
      struct braid_slot_number slot = step->from[k];
      from[k] = slot.kind == BRAID_IN_VARIABLE   ? variables[slot.index]
                : slot.kind == BRAID_IN_CONSTANT ? this->numbers[e->names + slot.index]
                                                 : registers[slot.index];
    }
    bool direct = this->direct && i + 1 == e->steps;
    run_step(this, step->code, direct ? (word *)this->result->data + at : registers[step->to], from, count);
  }
  if (!this->direct) set_result(this, at, count, registers[e->step[e->steps - 1].to]);
}

static void map_chunk(void *context, size_t first, size_t last) {
  struct map *this = context;
  const struct braid_expression *e = this->expression;
  word(*scratch)[BLOCK] = this->scratch + braid_team_seat() * (e->names + e->registers);
  const void *variables[BRAID_EXPRESSION_NAMES];
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BLOCK ? last - at : BLOCK;
    for (unsigned i = 0; i < e->names; i++) {
      const struct braid_map_value *value = &this->values[i];
      variables[i] = value->is_row ? read_row(this, &value->row, at, count, scratch[i]) : this->numbers[i];
    }
    run_block(this, variables, scratch + e->names, at, count);
  }
}

enum braid_status braid_map(struct braid_team *team, const struct braid_expression *expression,
                            const struct braid_map_value *values, struct braid_row *result) {
  const struct braid_expression *e = expression;
  struct map this = {.expression = e, .values = values, .result = result};
  struct kinds kinds = look_at(&this);
  enum braid_array_type type = result->type;
  this.domain = choose(&this, &kinds);
  this.direct =
      this.domain == DOUBLES ? type == BRAID_F64 : type == BRAID_I64 || (type == BRAID_U64 && this.domain == UNSIGNED);
  enum braid_status status = BRAID_NO_MEMORY;
  this.numbers = malloc((e->names + e->constants + 1) * sizeof *this.numbers);
  this.scratch = malloc((size_t)braid_team_size(team) * (e->names + e->registers) * sizeof *this.scratch);
  if (this.numbers && this.scratch) {
    set_numbers(&this, is_unsigned(&kinds));
    status = braid_team_for(team, result->count, BRAID_ROW_CHUNK, map_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
  }
  free(this.numbers);
  free(this.scratch);
  return status;
}
