/* SPDX-License-Identifier: MIT
 * Runs kernels that were compiled at run time (lua/braid/kernels/compile). Their code comes from a shared library of
 * ours; it knows no Lua and no locks. A reduction computes each block of BRAID_ROW_BLOCK results separately and joins
 * the blocks as a fixed tree, as kernels/reduce.c does, so the result does not depend on the number of threads. */
#ifndef BRAID_COMPILED_H
#define BRAID_COMPILED_H

#include "core/work/crew.h"

enum { BRAID_COMPILED_RESULTS = 8 }; /* most results of a kernel */

/* An argument. The same structure stands in lua/braid/kernels/compile/prelude.lua. */
struct braid_compiled_argument {
  union {
    int64_t integer;
    double number;
    void *data;
  } value;
  int64_t rows, columns, row_step, column_step; /* of an array; steps in elements */
};

/* Which check failed, with what value, and in which iteration. */
struct braid_compiled_fault {
  int64_t site, value, limit, i, j;
};

/* Runs the iterations first to last of both indices. Returns 0; 1: stopped; 2: `fault` tells. */
typedef int braid_compiled_run(const struct braid_compiled_argument *arguments, int64_t i_first, int64_t i_last,
                               int64_t j_first, int64_t j_last, void *const *out, const volatile unsigned char *stop,
                               struct braid_compiled_fault *fault);
/* Joins `count` values, in order. */
typedef int braid_compiled_fold(const struct braid_compiled_argument *arguments, const void *values, int64_t count,
                                void *result, const volatile unsigned char *stop, struct braid_compiled_fault *fault);

enum braid_compiled_reduction {
  BRAID_COMPILED_NONE,
  BRAID_COMPILED_SUM,
  BRAID_COMPILED_PRODUCT,
  BRAID_COMPILED_LEAST, /* NaN if there is one */
  BRAID_COMPILED_MOST,
  BRAID_COMPILED_FOLD
};

union braid_compiled_value {
  int64_t integer;
  double number;
};

struct braid_compiled_call {
  braid_compiled_run *run;
  braid_compiled_fold *fold;
  const struct braid_compiled_argument *arguments;
  int64_t first[2], last[2]; /* the range of both indices; a kernel with one index has 1 to 1 for the second */
  enum braid_compiled_reduction reduction;
  unsigned results;
  bool is_float[BRAID_COMPILED_RESULTS];
  /* the outcome */
  union braid_compiled_value value[BRAID_COMPILED_RESULTS]; /* unless the range is empty */
  bool faulty;
  struct braid_compiled_fault fault; /* of the first iteration that failed */
  enum braid_status status;          /* BRAID_NO_MEMORY; BRAID_CANCELLED: the team was stopped */
};

/* The number of iterations. */
size_t braid_compiled_count(const struct braid_compiled_call *call);

/* The kernel; `arguments` is a braid_compiled_call. On the team's thread, or on the caller's with team NULL. */
void braid_compiled_execute(struct braid_team *team, void *arguments);

#endif
