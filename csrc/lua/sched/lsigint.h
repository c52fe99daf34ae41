/* SPDX-License-Identifier: MIT
 * The reaction of a state to SIGINT, after the handler (linterrupt.h) has asked the loop for attention. The state's own
 * thread. */
#ifndef BRAID_LSIGINT_H
#define BRAID_LSIGINT_H

#include "lua/sched/lsched.h"

/* Called in the loop's turn and before a wait. Returns true if a SIGINT was there; it is answered then. */
bool sigint_take(struct sched *sched);

/* Called in the hook of code that computes. Some time after SIGINT it stops the main task, if that has neither waited
 * nor called a function that might wait. */
void sigint_look(lua_State *L, struct sched *sched);

#endif
