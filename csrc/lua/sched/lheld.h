/* SPDX-License-Identifier: MIT
 * Locks that tasks of this state hold, so that they do not stay held by a task that has ended. The state's own thread.
 */
#ifndef BRAID_LHELD_H
#define BRAID_LHELD_H

#include "core/sync/primitives.h"
#include "lua/sched/lsched.h"

/* The current task holds a lock of this process, or of another one, which it tells of itself. */
static inline void held_mark(struct sched *sched) { sched->current->waiter.flags |= TASK_HOLDS; }

/* The current task holds it. */
static inline void held_add(struct sched *sched, struct braid_primitive *lock) {
  held_mark(sched);
  braid_list_push(&sched->held, &lock->held);
}

/* Nobody does any more. */
static inline void held_remove(struct braid_primitive *lock) { braid_list_remove(&lock->held); }

/* The task has ended: what it still holds is broken. */
void held_abandon(struct sched *sched, struct task *task);

#endif
