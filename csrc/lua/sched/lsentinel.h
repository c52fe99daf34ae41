/* SPDX-License-Identifier: MIT
 * The sentinel: an object whose finalizer sees the end of the state. Lua calls finalizers in the reverse order of their
 * making, so the newest object is finalized first. A new sentinel is made each time the script goes on after a wait.
 * The state's own thread. */
#ifndef BRAID_LSENTINEL_H
#define BRAID_LSENTINEL_H

#include "lua/sched/lsched.h"

/* From now on `on_end` is called at the end of the state; it may run Lua. Raises when memory is out. */
void sentinel_open(lua_State *L, lua_CFunction on_end);

/* Makes a new sentinel: objects that the script has now are finalized after `on_end`. Does not raise; when memory is
 * out, the old sentinel stays. */
void sentinel_renew(lua_State *L, struct sched *sched);

#endif
