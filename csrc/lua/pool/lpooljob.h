/* SPDX-License-Identifier: MIT
 * Jobs of pools, for Lua: submits jobs and receives replies. The state's own thread; nothing blocks. */
#ifndef BRAID_LPOOLJOB_H
#define BRAID_LPOOLJOB_H

#include "core/work/pool.h"
#include "lua/sched/lobject.h"
#include "lua/sched/lsched.h"

/* Returns the pool at 1; raises when it is none. */
static inline struct braid_pool *pooljob_pool(lua_State *L) {
  return braid_container(lobject_check(L, 1, &braid_pool_class), struct braid_pool, object);
}

/* The method `submit`. */
int pooljob_submit(lua_State *L);

/* The method `submit_frozen`. */
int pooljob_submit_frozen(lua_State *L);

/* The waiter of a job has arrived: ends the job's future. Runs Lua; does not raise. */
void pooljob_arrive(struct sched *sched, struct braid_waiter *waiter);

/* Calls `visit` for each job of this state that has not arrived. */
struct job_future;
void pooljob_visit(lua_State *L, void (*visit)(struct job_future *future, void *context), void *context);

/* The state ends: gives up all jobs that have not arrived. Does not raise. */
void pooljob_orphan(struct sched *sched);

/* Pushes the error that broke the pool, and its traceback. Returns how many values; 0: it is not broken. */
int pooljob_push_failure(lua_State *L, struct braid_pool *pool);

#endif
