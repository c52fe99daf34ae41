/* SPDX-License-Identifier: MIT
 * A coroutine that looks at the others of its state. The state's own thread. */
#ifndef BRAID_LOBSERVER_H
#define BRAID_LOBSERVER_H

#include "lua/sched/lsched.h"

/* Calls a C function with a light userdata, protected, in a coroutine of its own: the frames of the script stay as they
 * are while it waits. False: it has raised, or memory is out. Does not raise. */
bool observer_call(struct sched *sched, lua_CFunction function, void *argument);

#endif
