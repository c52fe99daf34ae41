/* SPDX-License-Identifier: MIT
 * The release of Lua that loaded this module. */
#ifndef BRAID_LRELEASE_H
#define BRAID_LRELEASE_H

#include <lua.h>

/* Raises an error of one sentence if braid does not work in this Lua. The state's own thread; does not block. */
void lrelease_check(lua_State *L);

/* Pushes the release, "5.4.2". */
void lrelease_push(lua_State *L);

#endif
