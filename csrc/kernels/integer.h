/* SPDX-License-Identifier: MIT
 * The operations of expressions on blocks of 64-bit integers, where the result is an integer, too. Modulo 2^64, like
 * Lua. */
#ifndef BRAID_INTEGER_H
#define BRAID_INTEGER_H

#include <stdint.h>

#include "kernels/operation.h"

/* Like `run` of struct braid_operation. */
typedef void braid_integer_run(int64_t *to, const int64_t *a, const int64_t *b, const int64_t *c, size_t count);

/* One function for signed and one for unsigned integers; they are the same if only the bits matter. NULL: the operation
 * does not give integers. */
struct braid_integer_operation {
  braid_integer_run *of_signed, *of_unsigned;
};

extern const struct braid_integer_operation braid_integer_operations[BRAID_OPERATIONS];

#endif
