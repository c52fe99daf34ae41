/* SPDX-License-Identifier: MIT
 * What stands at the bottom of a coroutine: of ours the body of a task or a generator, of which that is an argument.
 * The state's own thread. */
#ifndef BRAID_LBOTTOM_H
#define BRAID_LBOTTOM_H

#include <lua.h>
#include <stdbool.h>

/* The outermost frame; false when there is none. */
bool bottom_frame(lua_State *co, lua_Debug *ar);

/* The C function at the bottom of a coroutine that has begun, or NULL. */
lua_CFunction bottom_function(lua_State *co);

/* The arguments: of a generator's body itself, of a task's its coroutine's slot (ltask.c) and the task. */
enum { BOTTOM_GENERATOR = 1, BOTTOM_SLOT = 1, BOTTOM_TASK };

/* Pushes an argument of the function at the bottom; nil when there is none. */
void bottom_push(lua_State *L, lua_State *co, int number);

#endif
