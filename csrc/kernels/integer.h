/* SPDX-License-Identifier: MIT
 * The operations of expressions that stay among the integers, on blocks of 64-bit ones, modulo 2^64 as in Lua. */
#ifndef BRAID_INTEGER_H
#define BRAID_INTEGER_H

#include <stdint.h>

#include "kernels/operation.h"

/* As struct braid_operation's. */
typedef void braid_integer_run(int64_t *to, const int64_t *a, const int64_t *b, const int64_t *c, size_t count);

/* One for signed and one for unsigned integers: the same where only their bits count. NULL: the results are no
 * integers. */
struct braid_integer_operation {
  braid_integer_run *of_signed, *of_unsigned;
};

extern const struct braid_integer_operation braid_integer_operations[BRAID_OPERATIONS];

#endif
