/* SPDX-License-Identifier: MIT
 * Standard input in a worker's state. */
#ifndef BRAID_LSTDIN_H
#define BRAID_LSTDIN_H

#include <lua.h>

/* Makes io.read, io.lines and the methods wait for standard input without the lock of its FILE, because io.popen and
 * exit of other threads need that lock. A job that waits there can also be stopped. The state's libraries are open. The
 * state's own thread; does not block. */
void lstdin_furnish(lua_State *L);

#endif
