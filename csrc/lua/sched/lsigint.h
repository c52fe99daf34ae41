/* SPDX-License-Identifier: MIT
 * What SIGINT does in a state, once its handler (linterrupt.h) has asked the loop for attention. The state's own
 * thread. */
#ifndef BRAID_LSIGINT_H
#define BRAID_LSIGINT_H

#include "lua/sched/lsched.h"

/* In the loop's turn, and before a wait: true when there was one; it is answered then. */
bool sigint_take(struct sched *sched);

/* In the hook of code that computes: long after it came it stops the main task if that has not waited since, nor called
 * anything that might. */
void sigint_look(lua_State *L, struct sched *sched);

#endif
