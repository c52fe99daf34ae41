/* SPDX-License-Identifier: MIT
 * A state's end is seen by the finalizer of an object that nothing else outlives: Lua calls finalizers in the reverse
 * order of their making. So the sentinel is made anew whenever the script goes on after its tasks have run. The state's
 * own thread. */
#ifndef BRAID_LSENTINEL_H
#define BRAID_LSENTINEL_H

#include "lua/sched/lsched.h"

/* From here on the state's end is seen: `on_end` is called then, which may run Lua. Raises when memory is out. */
void sentinel_open(lua_State *L, lua_CFunction on_end);

/* The script has made something that is to outlive what it has: what it had till now is finalized after the state's
 * end was seen. Does not raise: when memory is out the old one stays. */
void sentinel_renew(lua_State *L, struct sched *sched);

#endif
