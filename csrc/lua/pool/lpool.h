/* SPDX-License-Identifier: MIT
 * What the files that make pools share. The state's own thread; nothing blocks, unless said otherwise. */
#ifndef BRAID_LPOOL_H
#define BRAID_LPOOL_H

#include "core/work/pool.h"
#include "lua/sched/lsched.h"

/* Fills the box on the top of the stack with a new pool. From now on the state sees to the pool's end. The name is in
 * the table `settings`. Raises when memory is out. */
void lpool_keep(lua_State *L, struct sched *sched, struct braid_pool *pool, int settings);

/* Returns the number in the field `name` of the table at `index`; 0: it has none. */
lua_Number lpool_number(lua_State *L, int index, const char *name);

/* ---- at the end of the state ---- */

/* Closes all pools of the state, and asks their jobs to end. */
void lpool_stop_all(struct sched *sched);

/* Releases the pools that have ended. If `deadline` is not 0, it also waits for the others, at most until the deadline
 * and 2 s for killed workers. Blocks for that time. */
void lpool_release(struct sched *sched, int64_t deadline);

#endif
