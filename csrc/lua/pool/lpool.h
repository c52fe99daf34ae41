/* SPDX-License-Identifier: MIT
 * What those that make pools need of how Lua holds them. The state's own thread; nothing blocks. */
#ifndef BRAID_LPOOL_H
#define BRAID_LPOOL_H

#include "core/work/pool.h"
#include "lua/sched/lsched.h"

/* Fills the box on the top of the stack with a new pool, whose end is from then on the state's to see to. Its name is
 * in the settings at that index. */
void lpool_keep(lua_State *L, struct sched *sched, struct braid_pool *pool, int settings);

#endif
