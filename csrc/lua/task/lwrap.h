/* SPDX-License-Identifier: MIT
 * Generators. The state's own thread. */
#ifndef BRAID_LWRAP_H
#define BRAID_LWRAP_H

#include "lua/sched/lsched.h"

/* Starts the tasks, children of this nursery, that close the generators which were made in it, and between two steps
 * have scopes inside. Does not raise. */
void wrap_close_guests(lua_State *L, struct scope *home);

/* Starts the tasks that close these generators, `aside` of a scheduler or `abandoned`. Does not raise. */
void wrap_close_all(lua_State *L, struct braid_list *which);

#endif
