/* SPDX-License-Identifier: MIT
 * Reductions of a matrix along one axis. The matrix is a row of numbers, its rows one after the other. The results do
 * not depend on the number of threads: rows are summed in blocks of a fixed size, and the blocks are added pairwise. */
#ifndef BRAID_AXIS_H
#define BRAID_AXIS_H

#include "core/work/crew.h"
#include "kernels/row.h"

enum braid_axis_value { BRAID_AXIS_SUM, BRAID_AXIS_LEAST, BRAID_AXIS_MOST };

struct braid_axis_call {
  struct braid_row matrix;
  size_t rows, columns;
  enum braid_axis_value what;
  bool along_rows; /* one result for each column; else one for each row */
  void *out;       /* double of floats, int64_t of integers */
  enum braid_status status;
};

/* The kernel; `arguments` is a braid_axis_call. There are rows and columns. LEAST and MOST: NaN if there is one. */
void braid_axis(struct braid_team *team, void *arguments);

#endif
