/* SPDX-License-Identifier: MIT
 * A deadlock: every wait is for something that only a waiting task could do. The state's own thread. */
#ifndef BRAID_LDEADLOCK_H
#define BRAID_LDEADLOCK_H

#include "lua/sched/lsched.h"

/* Whether there is a deadlock: nothing can wake any waiter. */
bool deadlock_stands(struct sched *sched);

/* Whether something outside of the state may end a wait: a descriptor, a job, another thread. */
bool deadlock_may_end_from_outside(struct sched *sched);

/* Raises the error. It lists who waits, where, and for whom: sched->verdict, or all tasks of the state. Never
 * returns. */
int deadlock_raise(lua_State *L, struct sched *sched);

#endif
