/* SPDX-License-Identifier: MIT
 * Where an error came from, as text. An error that passes on what another task, job, or coroutine has failed with
 * carries the place of that; without the frames of braid itself, unless BRAID_DEBUG=1. The state's own thread; nothing
 * blocks. */
#ifndef BRAID_LTRACEBACK_H
#define BRAID_LTRACEBACK_H

#include <lua.h>

/* Pushes where `co` stands from `level` on: a heading and a line for each of the user's frames. */
void traceback_push(lua_State *L, lua_State *co, int level);

/* In a message handler, and for a coroutine that an error has ended: pushes the place of the error that was raised by
 * the function at `level` of `co`. */
void traceback_take(lua_State *L, lua_State *co, int level);

/* Raises the error below the top of the stack, whose place is the text on the top; nil: here. Never returns. For C
 * functions that Lua has called. */
int traceback_raise(lua_State *L);

/* The same when that place is in another coroutine, which the error has ended: where L stands is told as well. */
int traceback_raise_on(lua_State *L);

/* Remembers what Lua's own pcall and xpcall are. */
void traceback_open(lua_State *L);

#endif
