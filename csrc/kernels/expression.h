/* SPDX-License-Identifier: MIT
 * The language of `map`: "a*x + sqrt(y)" becomes a list of steps; each step applies one operation to blocks. The
 * operators, from lowest to highest precedence (as in Lua):
 *
 * - or
 * - and
 * - < <= > >= == ~= != (they cannot be chained)
 * - + -
 * - * / // %
 * - not, - (unary)
 * - ^
 *
 * Operands are numbers as in C, pi, inf, nan, names of variables, and calls of the functions in operation.h. min and
 * max take two or more arguments. All values are doubles; true is 1, false is 0. */
#ifndef BRAID_EXPRESSION_H
#define BRAID_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/operation.h"

enum {
  BRAID_EXPRESSION_NAMES = 64,      /* most variables */
  BRAID_EXPRESSION_CONSTANTS = 128, /* most different constants */
  BRAID_EXPRESSION_STEPS = 512,
  BRAID_EXPRESSION_REGISTERS = 64,
  BRAID_EXPRESSION_NAME = 64, /* bytes of a name, with the final 0 */
};

/* Where a value is: in a variable, a constant or a register, and its index there. */
struct braid_slot_number {
  enum { BRAID_IN_VARIABLE, BRAID_IN_CONSTANT, BRAID_IN_REGISTER } kind;
  unsigned index;
};

struct braid_step {
  enum braid_operation_code code;
  unsigned to; /* index of a register */
  struct braid_slot_number from[3];
};

struct braid_constant {
  double number;
  int64_t integer; /* the same number, if `whole` */
  bool whole;
};

struct braid_expression {
  unsigned names, constants, steps, registers;
  char name[BRAID_EXPRESSION_NAMES][BRAID_EXPRESSION_NAME]; /* of the variables, by first appearance */
  struct braid_constant constant[BRAID_EXPRESSION_CONSTANTS];
  struct braid_step step[BRAID_EXPRESSION_STEPS]; /* the last one computes the result */
  bool whole;                                     /* each step makes integers from integers */
  bool ordered;                                   /* `whole` integers must be known to be signed or unsigned */
  bool negative;                                  /* it has an integer constant below 0 */
  bool large;                                     /* it has an integer constant from 2^63 on */
};

struct braid_expression_error {
  size_t column; /* from 1 */
  char message[128];
};

/* False: `error` has the reason. Any thread; does not block. */
bool braid_expression_parse(struct braid_expression *expression, const char *source,
                            struct braid_expression_error *error);

#endif
