/* SPDX-License-Identifier: MIT
 * What goes along with the jobs and the items of queues that a task sends: the context of its span. Lua code knows what
 * that is (lua/braid/telemetry/context.lua). Until it has called `carry`, a send or a receipt costs one test of a flag.
 * The state's own thread; nothing blocks. */
#ifndef BRAID_LCARRY_H
#define BRAID_LCARRY_H

#include "lua/sched/lsched.h"

/* Instead of the stack index of a queue: the value is a job's function; the job goes to another machine. */
enum { CARRY_JOB = 0, CARRY_FAR_JOB = -1 };

/* The value at `index` is about to be sent to the queue at stack index `to`, or by a job: replaces it by a table that
 * has it as element 1, and the context, if there is one. May raise that memory is out. */
void carry_wrap(lua_State *L, struct sched *sched, int index, int to);

/* An item is about to be pushed: the current task takes no part any more in what the item before has brought. */
void carry_begin(lua_State *L, struct sched *sched);

/* Replaces the item on the top of the stack, if it is such a table, by what it has; the current task takes part in its
 * context. An item that was encoded has done so when it was decoded. */
void carry_unwrap(lua_State *L, struct sched *sched);

#endif
