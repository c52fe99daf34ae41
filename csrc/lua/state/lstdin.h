/* SPDX-License-Identifier: MIT
 * Standard input in a worker's state. */
#ifndef BRAID_LSTDIN_H
#define BRAID_LSTDIN_H

#include <lua.h>

/* io.read, io.lines and their methods wait for standard input without the lock of its FILE, which io.popen and exit of
 * other threads want; and a job that waits there can be stopped. The state's libraries are open. */
void lstdin_furnish(lua_State *L);

#endif
