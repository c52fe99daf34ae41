/* SPDX-License-Identifier: MIT
 * The locks that tasks of this state hold. When a task ends and still holds a lock, the lock is marked as broken. The
 * state's own thread. */
#ifndef BRAID_LHELD_H
#define BRAID_LHELD_H

#include "core/sync/primitives.h"
#include "lua/sched/lsched.h"

/* The current task holds a lock. For a lock of another process this is all: its proxy knows the owner. */
static inline void held_mark(struct sched *sched) { sched->current->waiter.flags |= TASK_HOLDS; }

/* The current task holds this lock of this process. */
static inline void held_add(struct sched *sched, struct braid_primitive *lock) {
  held_mark(sched);
  braid_list_push(&sched->held, &lock->held);
}

/* The lock is free again. */
static inline void held_remove(struct braid_primitive *lock) { braid_list_remove(&lock->held); }

/* The task has ended: abandons all locks that it still holds. */
void held_abandon(struct sched *sched, struct task *task);

#endif
