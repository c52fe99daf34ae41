/* SPDX-License-Identifier: MIT
 * The bottom frame of a coroutine. In braid's coroutines it runs the body of a task or of a generator, and the task or
 * generator is an argument of that body. The state's own thread. */
#ifndef BRAID_LBOTTOM_H
#define BRAID_LBOTTOM_H

#include <lua.h>
#include <stdbool.h>

/* Reads the outermost frame of a coroutine; false if it has no frame. */
bool bottom_frame(lua_State *co, lua_Debug *ar);

/* The C function at the bottom of a coroutine that has started; else NULL. */
lua_CFunction bottom_function(lua_State *co);

/* Argument numbers. A generator's body has the generator; a task's body has its coroutine's slot (ltask.c) and the
 * task.
 */
enum { BOTTOM_GENERATOR = 1, BOTTOM_SLOT = 1, BOTTOM_TASK };

/* Pushes this argument of the function at the bottom; nil if there is none. */
void bottom_push(lua_State *L, lua_State *co, int number);

#endif
