/* SPDX-License-Identifier: MIT
 * Task locals: one table for each task that asks for it. A new task gets a copy of its parent's. */
#ifndef BRAID_LLOCALS_H
#define BRAID_LLOCALS_H

#include "lua/sched/lsched.h"

/* The new task is on the top of the stack. It gets a copy of the current task's locals. */
void locals_inherit(lua_State *L, struct sched *sched);

#endif
