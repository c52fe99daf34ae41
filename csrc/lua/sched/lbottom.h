/* SPDX-License-Identifier: MIT
 * What stands at the bottom of a coroutine: of ours the body of a task or a generator, whose first argument that is.
 * The state's own thread. */
#ifndef BRAID_LBOTTOM_H
#define BRAID_LBOTTOM_H

#include <lua.h>
#include <stdbool.h>

/* The outermost frame; false when there is none. */
bool bottom_frame(lua_State *co, lua_Debug *ar);

/* The C function at the bottom of a coroutine that has begun, or NULL. */
lua_CFunction bottom_function(lua_State *co);

/* Pushes its first argument; nil when there is none. */
void bottom_push_first(lua_State *L, lua_State *co);

#endif
