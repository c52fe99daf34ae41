/* SPDX-License-Identifier: MIT
 * The language of `map`: "a*x + sqrt(y)" becomes a row of steps, each one operation on blocks.
 *
 *   or | and | < <= > >= == ~= != (one of them, no chains) | + - | * / // % | not - (before their operand) | ^ weakest
 * first, as in Lua numbers as in C, pi, inf, nan | names of variables | functions: those of operation.h; min and max
 * take two or more
 *
 * All values are doubles, truth is 1 and 0. */
#ifndef BRAID_EXPRESSION_H
#define BRAID_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/operation.h"

enum {
  BRAID_EXPRESSION_NAMES = 64,      /* variables at most */
  BRAID_EXPRESSION_CONSTANTS = 128, /* different ones */
  BRAID_EXPRESSION_STEPS = 512,
  BRAID_EXPRESSION_REGISTERS = 64,
  BRAID_EXPRESSION_NAME = 64, /* bytes of a name, with the last 0 */
};

/* Where a value is: a variable, then a constant, then a register, by number. */
struct braid_slot_number {
  enum { BRAID_IN_VARIABLE, BRAID_IN_CONSTANT, BRAID_IN_REGISTER } kind;
  unsigned index;
};

struct braid_step {
  enum braid_operation_code code;
  unsigned to; /* a register */
  struct braid_slot_number from[3];
};

struct braid_constant {
  double number;
  int64_t integer; /* the same, when it is whole: written as an integer below 2^64, or made of such */
  bool whole;
};

struct braid_expression {
  unsigned names, constants, steps, registers;
  char name[BRAID_EXPRESSION_NAMES][BRAID_EXPRESSION_NAME]; /* of the variables, in order of first appearance */
  struct braid_constant constant[BRAID_EXPRESSION_CONSTANTS];
  struct braid_step step[BRAID_EXPRESSION_STEPS]; /* the last one makes the result */
  bool whole;                                     /* of integers it makes integers, in each of its steps */
  bool ordered;                                   /* and it matters then whether they are signed */
  bool negative;                                  /* it has a constant that is whole and below 0 */
  bool large;                                     /* it has a constant that is whole, from 2^63 on */
};

struct braid_expression_error {
  size_t column; /* from 1 */
  char message[128];
};

/* False: the error tells why. Any thread; does not block. */
bool braid_expression_parse(struct braid_expression *expression, const char *source,
                            struct braid_expression_error *error);

#endif
