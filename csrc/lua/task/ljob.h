/* SPDX-License-Identifier: MIT
 * Futures of jobs. The state's own thread; nothing blocks. */
#ifndef BRAID_LJOB_H
#define BRAID_LJOB_H

#include "core/work/pool.h"
#include "lua/sched/ltree.h"

/* Userdata of the class of futures; anchored until the job's waiter has come home. */
struct job_future {
  struct future future;
  struct braid_job *job; /* NULL once it is home */
  struct braid_pool *pool;
  int slot; /* in which it is kept until it is home */
};

/* False when the job had ended. */
bool job_cancel(struct future *future);

/* state() of a future: a job's is known to its worker first, and to whom cancels it. */
enum future_state job_state(const struct future *future);

/* Whether that is one of the states in which it has ended. */
bool job_has_ended(const struct future *future);

#endif
