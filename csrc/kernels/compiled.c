/* SPDX-License-Identifier: MIT
 * Each thread keeps the first fault that it meets, and other failures, in its seat; so no lock is needed. All chunks
 * run to their end or fault, and the fault of the lowest iteration is reported, whatever the number of threads. */
#include "kernels/compiled.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/reduce.h"

enum { CHUNKS = 64, GRAIN_MOST = 64 * 1024 };

struct seat {
  enum braid_status status; /* the last failure that is no fault of the kernel */
  bool faulty;
  struct braid_compiled_fault fault;
};

struct run {
  struct braid_compiled_call *call;
  const volatile unsigned char *stop;
  struct seat *seats; /* one for each thread of the team */
  unsigned size;
  union braid_compiled_value *partial; /* for each result, for each block: its value */
  size_t blocks;
  int64_t columns;
};

size_t braid_compiled_count(const struct braid_compiled_call *call) {
  if (call->last[0] < call->first[0] || call->last[1] < call->first[1]) return 0;
  uint64_t rows = (uint64_t)call->last[0] - (uint64_t)call->first[0] + 1;
  uint64_t columns = (uint64_t)call->last[1] - (uint64_t)call->first[1] + 1;
  if (!rows || !columns || rows > SIZE_MAX / columns) return SIZE_MAX;
  return (size_t)(rows * columns);
}

static void note(struct run *run, int code, const struct braid_compiled_fault *fault) {
  if (code != 2) return;
  struct seat *seat = &run->seats[braid_team_seat()];
  bool earlier = fault->i < seat->fault.i || (fault->i == seat->fault.i && fault->j < seat->fault.j);
  if (seat->faulty && !earlier) return;
  seat->faulty = true;
  seat->fault = *fault;
}

/* Takes over what the threads have kept. */
static void take_failures(struct run *run) {
  struct braid_compiled_call *call = run->call;
  for (unsigned i = 0; i < run->size; i++) {
    const struct seat *seat = &run->seats[i];
    if (seat->status) call->status = seat->status;
    if (!seat->faulty) continue;
    bool earlier = seat->fault.i < call->fault.i || (seat->fault.i == call->fault.i && seat->fault.j < call->fault.j);
    if (!call->faulty || earlier) call->fault = seat->fault;
    call->faulty = true;
  }
}

/* ---- kernels without a result ------------------------------------------------------------------------------------ */

/* Rows of the first index. */
static void run_rows(void *context, size_t first, size_t last) {
  struct run *run = context;
  struct braid_compiled_call *call = run->call;
  struct braid_compiled_fault fault = {0};
  int code = call->run(call->arguments, call->first[0] + (int64_t)first, call->first[0] + (int64_t)last - 1,
                       call->first[1], call->last[1], NULL, run->stop, &fault);
  note(run, code, &fault);
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

/* Computes the results of `count` iterations from number `at` on, counted row by row. */
static int compute(struct run *run, size_t at, size_t count, union braid_compiled_value (*values)[BRAID_ROW_BLOCK]) {
  struct braid_compiled_call *call = run->call;
  struct braid_compiled_fault fault = {0};
  size_t columns = (size_t)run->columns;
  for (size_t done = 0, now; done < count; done += now) {
    size_t row = (at + done) / columns, column = (at + done) % columns;
    void *out[BRAID_COMPILED_RESULTS];
    for (unsigned i = 0; i < call->results; i++) out[i] = values[i] + done;
    int64_t i_first = call->first[0] + (int64_t)row, i_last = i_first;
    int64_t j_first = call->first[1] + (int64_t)column, j_last;
    now = count - done;
    if (columns == 1) { /* one index: its range runs over the rows */
      i_last = i_first + (int64_t)now - 1;
      j_last = j_first;
    } else {
      if (now > columns - column) now = columns - column;
      j_last = j_first + (int64_t)now - 1;
    }
    int code = call->run(call->arguments, i_first, i_last, j_first, j_last, out, run->stop, &fault);
    note(run, code, &fault);
    if (code) return code;
  }
  return 0;
}

static double multiply(const double *values, size_t count) {
  double product = 1;
  for (size_t i = 0; i < count; i++) product *= values[i];
  return product;
}

static int64_t multiply_integers(const int64_t *values, size_t count) {
  uint64_t product = 1;
  for (size_t i = 0; i < count; i++) product *= (uint64_t)values[i];
  return (int64_t)product;
}

/* Joins values of one result. All of a block, or those of blocks. */
static int join(struct run *run, unsigned result, union braid_compiled_value *values, size_t count,
                union braid_compiled_value *joined) {
  struct braid_compiled_call *call = run->call;
  bool is_float = call->is_float[result];
  if (call->reduction == BRAID_COMPILED_FOLD) {
    struct braid_compiled_fault fault = {0};
    int code = call->fold(call->arguments, values, (int64_t)count, joined, run->stop, &fault);
    note(run, code, &fault);
    return code;
  }
  if (call->reduction == BRAID_COMPILED_PRODUCT) {
    if (is_float)
      joined->number = multiply(&values->number, count);
    else
      joined->integer = multiply_integers(&values->integer, count);
    return 0;
  }
  static const enum braid_reduction what[] = {
      [BRAID_COMPILED_SUM] = BRAID_REDUCE_SUM,
      [BRAID_COMPILED_LEAST] = BRAID_REDUCE_LEAST,
      [BRAID_COMPILED_MOST] = BRAID_REDUCE_MOST,
  };
  struct braid_row row = {is_float ? BRAID_F64 : BRAID_I64, values, count};
  struct braid_reduced reduced;
  enum braid_status status = braid_reduce(NULL, what[call->reduction], &row, NULL, &reduced);
  if (status) {
    run->seats[braid_team_seat()].status = status;
    return 1;
  }
  if (is_float)
    joined->number = reduced.number;
  else
    joined->integer = reduced.integer;
  return 0;
}

/* Sums of floats are added pairwise, as those of the blocks of one array are (kernels/reduce.c). */
static void add_pairwise(union braid_compiled_value *terms, size_t count) {
  for (; count > 1; count = (count + 1) / 2) {
    for (size_t i = 0; i < count / 2; i++) terms[i].number = terms[2 * i].number + terms[2 * i + 1].number;
    if (count % 2) terms[count / 2] = terms[count - 1];
  }
}

static void run_block(void *context, size_t first, size_t last) {
  struct run *run = context;
  struct braid_compiled_call *call = run->call;
  union braid_compiled_value values[BRAID_COMPILED_RESULTS][BRAID_ROW_BLOCK];
  for (size_t at = first; at < last; at += BRAID_ROW_BLOCK) {
    size_t count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    if (compute(run, at, count, values)) return;
    for (unsigned i = 0; i < call->results; i++)
      if (join(run, i, values[i], count, &run->partial[i * run->blocks + at / BRAID_ROW_BLOCK])) return;
  }
}

static void join_blocks(struct run *run) {
  struct braid_compiled_call *call = run->call;
  for (unsigned i = 0; i < call->results; i++) {
    union braid_compiled_value *partial = run->partial + i * run->blocks;
    if (call->reduction == BRAID_COMPILED_SUM && call->is_float[i]) {
      add_pairwise(partial, run->blocks);
      call->value[i] = partial[0];
    } else if (join(run, i, partial, run->blocks, &call->value[i])) {
      return;
    }
  }
}

static void reduce(struct braid_team *team, struct run *run, size_t count) {
  enum { GRAIN = 8 * BRAID_ROW_BLOCK };
  struct braid_compiled_call *call = run->call;
  run->blocks = (count + BRAID_ROW_BLOCK - 1) / BRAID_ROW_BLOCK;
  run->partial = calloc(run->blocks * call->results, sizeof *run->partial);
  if (!run->partial) {
    call->status = BRAID_NO_MEMORY;
    return;
  }
  size_t grain = count > CHUNKS * GRAIN ? GRAIN : BRAID_ROW_BLOCK;
  if (!braid_team_for(team, count, grain, run_block, run)) call->status = BRAID_CANCELLED;
  take_failures(run);
  if (!call->status && !call->faulty) join_blocks(run);
  free(run->partial);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void braid_compiled_execute(struct braid_team *team, void *arguments) {
  struct braid_compiled_call *call = arguments;
  size_t count = braid_compiled_count(call);
  if (count == 0) return;
  unsigned seats = braid_team_size(team);
  struct run run = {.call = call, .stop = braid_team_flag(team), .columns = call->last[1] - call->first[1] + 1};
  run.size = seats;
  run.seats = calloc(seats, sizeof *run.seats);
  if (!run.seats) {
    call->status = BRAID_NO_MEMORY;
    return;
  }
  if (call->reduction) {
    reduce(team, &run, count);
  } else {
    size_t rows = (size_t)(call->last[0] - call->first[0]) + 1, grain = (rows - 1) / CHUNKS + 1;
    if (!braid_team_for(team, rows, grain < GRAIN_MOST ? grain : GRAIN_MOST, run_rows, &run))
      call->status = BRAID_CANCELLED;
  }
  take_failures(&run);
  free(run.seats);
}
