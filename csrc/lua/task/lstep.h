/* SPDX-License-Identifier: MIT
 * The one place where Lua is resumed: a step of a task. The state's own thread. */
#ifndef BRAID_LSTEP_H
#define BRAID_LSTEP_H

#include "lua/sched/lsched.h"

/* Resumes a task that is ready, here and now, and ends it when its code has come to its end. Does not raise. */
void task_step(struct sched *sched, struct task *task, lua_State *from);

#endif
