/* SPDX-License-Identifier: MIT
 * A deadlock: every wait is for something that only a waiting task could do. The state's own thread. */
#ifndef BRAID_LDEADLOCK_H
#define BRAID_LDEADLOCK_H

#include "lua/sched/lsched.h"

/* Nothing can wake anybody any more. */
bool deadlock_stands(struct sched *sched);

/* Raises the error: who waits, where, and for whom. Never returns. */
int deadlock_raise(lua_State *L, struct sched *sched);

#endif
