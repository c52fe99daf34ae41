/* SPDX-License-Identifier: MIT
 * What those that make pools need of how Lua holds them. The state's own thread; nothing blocks. */
#ifndef BRAID_LPOOL_H
#define BRAID_LPOOL_H

#include "core/work/pool.h"
#include "lua/sched/lsched.h"

/* Fills the box on the top of the stack with a new pool, whose end is from then on the state's to see to. Its name is
 * in the settings at that index. */
void lpool_keep(lua_State *L, struct sched *sched, struct braid_pool *pool, int settings);

/* The number that the table at `index` has under this name; 0: none. */
lua_Number lpool_number(lua_State *L, int index, const char *name);

/* ---- at the end of the state ---- */

/* Asks the pools that it has made to end, and their jobs. */
void lpool_stop_all(struct sched *sched);

/* Gives up the pools that have ended, and with a deadline, 0 otherwise, the others: when they have, or then. Blocks
 * until the deadline. */
void lpool_release(struct sched *sched, int64_t deadline);

#endif
