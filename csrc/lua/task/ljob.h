/* SPDX-License-Identifier: MIT
 * Futures of jobs. The state's own thread; nothing blocks. */
#ifndef BRAID_LJOB_H
#define BRAID_LJOB_H

#include "core/work/pool.h"
#include "lua/sched/ltree.h"

/* Userdata of the class of futures. It is anchored until the job's waiter has come home. */
struct job_future {
  struct future future;
  struct braid_job *job; /* NULL once it is home */
  struct braid_pool *pool;
  int slot; /* where it is anchored, until the job is home; 0: nowhere */
};

/* Cancels the job. Returns false if it had already ended. */
bool job_cancel(struct future *future);

/* The state of a job's future. Before the job is home it is read from the job itself. */
enum future_state job_state(const struct future *future);

/* Whether the job has ended: it is done, failed or cancelled. */
bool job_has_ended(const struct future *future);

#endif
