/* SPDX-License-Identifier: MIT
 * Jobs of pools as Lua submits them: they go out, replies come in. The state's own thread; nothing blocks. */
#ifndef BRAID_LPOOLJOB_H
#define BRAID_LPOOLJOB_H

#include "core/work/pool.h"
#include "lua/sched/lobject.h"
#include "lua/sched/lsched.h"

/* The pool at 1; raises when it is none. */
static inline struct braid_pool *pooljob_pool(lua_State *L) {
  return braid_container(lobject_check(L, 1, &braid_pool_class), struct braid_pool, object);
}

/* The method `submit`. */
int pooljob_submit(lua_State *L);

/* The waiter of a job has come home: its future ends. Runs Lua; does not raise. */
void pooljob_arrive(struct sched *sched, struct braid_waiter *waiter);

/* The state ends: nobody will fetch the results of jobs that are not home. */
void pooljob_orphan(struct sched *sched);

/* Pushes why the pool was given up, and the traceback, and returns how many; 0: it was not. */
int pooljob_push_failure(lua_State *L, struct braid_pool *pool);

#endif
