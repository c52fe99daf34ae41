/* SPDX-License-Identifier: MIT
 * Lua's coroutine library as braid needs it. */
#ifndef BRAID_LCOROUTINE_H
#define BRAID_LCOROUTINE_H

#include <lua.h>

/* The innermost coroutine that coroutine.resume, or what lcoroutine_wrap made, runs on this thread; NULL: none. Also in
 * signal handlers. */
lua_State *lcoroutine_inner(void);

/* For Lua: coroutine.wrap, whose coroutine lcoroutine_inner knows. */
int lcoroutine_wrap(lua_State *L);

#endif
