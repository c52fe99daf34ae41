/* SPDX-License-Identifier: MIT
 * The place where an error was raised, as text (a traceback). An error that was passed on from another task, job or
 * coroutine keeps the place of the first raise. Frames of braid itself are left out, except with BRAID_DEBUG=1. The
 * state's own thread; nothing blocks. */
#ifndef BRAID_LTRACEBACK_H
#define BRAID_LTRACEBACK_H

#include <lua.h>

/* Pushes a traceback of `co` from `level` on: a heading, and a line for each of the user's frames. */
void traceback_push(lua_State *L, lua_State *co, int level);

/* Pushes the place of the error that the function at `level` of `co` raised. For message handlers, and for a coroutine
 * that ended with an error. */
void traceback_take(lua_State *L, lua_State *co, int level);

/* Raises the error below the top of the stack. The text on the top is its place; nil: the error is raised here first.
 * Never returns. Only for C functions that Lua has called. */
int traceback_raise(lua_State *L);

/* The same for an error that ended another coroutine: adds the frames of L to the place. */
int traceback_raise_on(lua_State *L);

/* Remembers Lua's own pcall and xpcall, to find out whether a raised error would end the script. */
void traceback_open(lua_State *L);

/* Pops a C function that catches errors as pcall does, and remembers it, too. It catches them as long as this slot of
 * its stack is not nil. */
void traceback_add_catcher(lua_State *L, int slot);

#endif
