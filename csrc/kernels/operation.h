/* SPDX-License-Identifier: MIT
 * The operations of expressions: each computes a block of doubles from blocks. True is 1, false is 0; every operand
 * that is not 0 is true. */
#ifndef BRAID_OPERATION_H
#define BRAID_OPERATION_H

#include <stddef.h>

enum braid_operation_code {
  BRAID_COPY,
  BRAID_NEGATE,
  BRAID_NOT,
  BRAID_ADD,
  BRAID_SUBTRACT,
  BRAID_MULTIPLY,
  BRAID_DIVIDE,
  BRAID_FLOOR_DIVIDE,
  BRAID_MODULO,
  BRAID_POWER,
  BRAID_LESS,
  BRAID_LESS_EQUAL,
  BRAID_EQUAL,
  BRAID_UNEQUAL,
  BRAID_AND,
  BRAID_OR,
  BRAID_MULTIPLY_ADD, /* a * b + c, rounded twice */
  BRAID_FUNCTIONS,    /* from here on they have names */
  BRAID_MIN = BRAID_FUNCTIONS,
  BRAID_MAX,
  BRAID_WHERE,
  BRAID_SQRT,
  BRAID_ABS,
  BRAID_FLOOR,
  BRAID_CEIL,
  BRAID_POW,
  BRAID_EXP,
  BRAID_LOG,
  BRAID_SIN,
  BRAID_COS,
  BRAID_TAN,
  BRAID_ASIN,
  BRAID_ACOS,
  BRAID_ATAN,
  BRAID_TANH,
  BRAID_ROUND,
  BRAID_SIGN,
  BRAID_LOG2,
  BRAID_LOG10,
  BRAID_LOG_BASE,
  BRAID_EXP2,
  BRAID_SINH,
  BRAID_COSH,
  BRAID_ATAN2,
  BRAID_ATAN_OF_TWO,
  BRAID_HYPOT,
  BRAID_ISNAN,
  BRAID_ISINF,
  BRAID_ERF,
  BRAID_OPERATIONS
};

struct braid_operation {
  const char *name;  /* of functions; two with different numbers of operands may share a name */
  unsigned operands; /* 1: a; 2: a and b; 3: a, b and c */
  /* Computes to[i] for i < count. `to` may be one of the operands. Any thread; does not block. */
  void (*run)(double *to, const double *a, const double *b, const double *c, size_t count);
};

extern const struct braid_operation braid_operations[BRAID_OPERATIONS];

#endif
