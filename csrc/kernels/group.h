/* SPDX-License-Identifier: MIT
 * Values of groups: the group of element i is keys[i] - low, from 0 to groups - 1. The elements are cut into parts,
 * whose number depends only on the lengths; each part has its own values, which are joined pairwise in order. So the
 * result does not depend on the number of threads. */
#ifndef BRAID_GROUP_H
#define BRAID_GROUP_H

#include "core/work/crew.h"
#include "kernels/row.h"

enum braid_group_value {
  BRAID_GROUP_COUNT, /* i64 */
  BRAID_GROUP_SUM,   /* f64 of floats, i64 of integers (modulo 2^64) */
  BRAID_GROUP_LEAST, /* of a group without elements: infinity, or the largest integer */
  BRAID_GROUP_MOST,
  BRAID_GROUP_FIRST /* the place of the first element, from 1; 0: none. i64 */
};

struct braid_group_column {
  enum braid_group_value what;
  const struct braid_row *values; /* of SUM, LEAST, MOST: as long as the keys */
  void *out;                      /* one int64_t or double for each group */
  bool is_float;
};

struct braid_group_call {
  const struct braid_row *keys; /* integers */
  int64_t low;
  size_t groups;
  struct braid_group_column *columns;
  size_t count; /* of columns */
  /* the outcome */
  bool out_of_range; /* a key is in no group; `bad` is the place of the first one, from 0 */
  size_t bad;
  enum braid_status status;
};

/* The kernel; `arguments` is a braid_group_call. */
void braid_group(struct braid_team *team, void *arguments);

#endif
