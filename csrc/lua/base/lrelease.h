/* SPDX-License-Identifier: MIT
 * Which Lua this module has been loaded into. */
#ifndef BRAID_LRELEASE_H
#define BRAID_LRELEASE_H

#include <lua.h>

/* Raises one sentence when it is one in which braid does not work. The state's own thread; does not block. */
void lrelease_check(lua_State *L);

#endif
