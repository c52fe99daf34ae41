/* SPDX-License-Identifier: MIT
 * Finds deadlocks in the lists of waits that all states have told (docs/CONCURRENCY.md, section 13). It computes who
 * can still go on: tasks that do not wait for others, and then all whom somebody who goes on may wake. The rest never
 * goes on. Whatever is not known counts as something that goes on. Any thread; nothing blocks. */
#ifndef BRAID_WAIT_GRAPH_H
#define BRAID_WAIT_GRAPH_H

#include "core/inspect/wait_record.h"

/* A task that never goes on. */
struct braid_wait_stuck {
  uint64_t process, task, state;
  uint32_t since;
  uint8_t kind, flags;                  /* of its wait, of the task */
  const struct braid_wait_record *text; /* NULL: there is none */
  size_t for_whom; /* the index of the stuck task that it waits for, or that holds the lock; SIZE_MAX: no single one */
};

/* Lists the tasks that never go on, as an array of struct braid_wait_stuck; NULL: none, or memory is out. A task or a
 * state counts only if `before`, an older list, has it with the same wait and the same generation. The caller frees the
 * array; it refers to `now`. */
struct braid_wait_stuck *braid_wait_graph_find(const struct braid_buffer *now, const struct braid_buffer *before,
                                               size_t *count);

#endif
