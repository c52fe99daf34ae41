/* SPDX-License-Identifier: MIT
 * Task-local values: a table for each task that asks for one, copied from its parent's when it is spawned. */
#ifndef BRAID_LLOCALS_H
#define BRAID_LLOCALS_H

#include "lua/sched/lsched.h"

/* The new task is on the top of the stack: it inherits what the current one has. */
void locals_inherit(lua_State *L, struct sched *sched);

#endif
