/* SPDX-License-Identifier: MIT
 * Error values as Lua sees them: tables with the metatable "braid.error" (kind, message, cause). All functions: the
 * state's own thread; none blocks. */
#ifndef BRAID_LERROR_H
#define BRAID_LERROR_H

#include <lua.h>

#include "core/base/status.h"

#define LERROR_METATABLE "braid.error"
#define LERROR_NO_MEMORY "not enough memory" /* Lua's own words, which every state has */

/* Pushes an error of this kind with a formatted message (lua_pushfstring's formats). */
void lerror_push(lua_State *L, const char *kind, const char *format, ...);

/* Raises it. Never returns. */
int lerror_raise(lua_State *L, const char *kind, const char *format, ...);

/* Raises kind "misuse" with the caller's file and line before the message. Never returns. */
int lerror_misuse(lua_State *L, const char *format, ...);

/* Pushes nil and the error that the status stands for, naming `what` was tried ("queue:get"); returns 2. */
int lerror_return(lua_State *L, enum braid_status status, const char *what);

/* Pushes nil and an error of kind "system" with strerror's text; returns 2. */
int lerror_system(lua_State *L, int error, const char *what);

/* Raises it: kind "system" with the number as `code`. Never returns. */
int lerror_raise_system(lua_State *L, int error, const char *what);

/* The error number of an error that tells of a want of memory, descriptors or the like; 0: it is another. Does not
 * raise. */
int lerror_shortage(lua_State *L, int index);

/* The same with the caller's file and line and a formatted text (lua_pushfstring's formats) before the system's reason:
 * what it was that did not fit. Never returns. */
int lerror_no_room(lua_State *L, int error, const char *format, ...);

/* Raises kind "system", "not enough memory" at the caller's line; where not even that can be said, the words alone, as
 * Lua does. Never returns. */
int lerror_memory(lua_State *L);

/* Pushes the text of the value at `index` and returns it, as luaL_tolstring does; what its __tostring raises only
 * changes the text. */
const char *lerror_text(lua_State *L, int index);

/* The value at `index` is a braid error of that kind (NULL: of any). */
int lerror_is(lua_State *L, int index, const char *kind);

#endif
