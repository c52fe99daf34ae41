/* SPDX-License-Identifier: MIT
 * Generators. The state's own thread. */
#ifndef BRAID_LWRAP_H
#define BRAID_LWRAP_H

#include "lua/sched/lsched.h"

/* Starts tasks, children of this nursery, that close the generators which were made in it and have scopes open at a
 * yield. Does not raise. */
void wrap_close_guests(lua_State *L, struct scope *home);

/* Does the same for the generators in a scheduler's list `aside` or `abandoned`. Does not raise. */
void wrap_close_all(lua_State *L, struct braid_list *which);

#endif
