/* SPDX-License-Identifier: MIT
 * Error values: tables with the metatable "braid.error" and the fields kind, message and cause. The state's own thread;
 * nothing blocks. */
#ifndef BRAID_LERROR_H
#define BRAID_LERROR_H

#include <lua.h>

#include "core/base/status.h"

#define LERROR_METATABLE "braid.error"
#define LERROR_NO_MEMORY "not enough memory" /* Lua's own message; every state has this string */

/* Pushes the metatable of errors. Raises when memory is out. */
void lerror_metatable(lua_State *L);

/* Pushes an error of this kind with a formatted message (lua_pushfstring's formats). */
void lerror_push(lua_State *L, const char *kind, const char *format, ...);

/* Raises such an error. Never returns. */
int lerror_raise(lua_State *L, const char *kind, const char *format, ...);

/* Raises kind "misuse" with the caller's file and line before the message. Never returns. */
int lerror_misuse(lua_State *L, const char *format, ...);

/* Pushes nil and the error for this status; `what` names the call ("queue:get"). Returns 2. */
int lerror_return(lua_State *L, enum braid_status status, const char *what);

/* Pushes nil and an error of kind "system" with strerror's text; returns 2. */
int lerror_system(lua_State *L, int error, const char *what);

/* Raises kind "system" with the error number as `code`. Never returns. */
int lerror_raise_system(lua_State *L, int error, const char *what);

/* Returns the error number if the error at `index` reports a shortage (of memory, descriptors and so on); else 0. Does
 * not raise. */
int lerror_shortage(lua_State *L, int index);

/* Raises kind "system" at the caller's line: a formatted text (lua_pushfstring's formats) that names what did not fit,
 * and then the system's reason. Never returns. */
int lerror_no_room(lua_State *L, int error, const char *format, ...);

/* Raises kind "system" with "not enough memory" at the caller's line. Without memory for that it raises the bare
 * string, as Lua does. Never returns. */
int lerror_memory(lua_State *L);

/* Pushes and returns the text of the value at `index`, as luaL_tolstring does. An error in its __tostring is not passed
 * on: it only changes the text. */
const char *lerror_text(lua_State *L, int index);

/* Whether the value at `index` is a braid error of this kind (NULL: of any kind). */
int lerror_is(lua_State *L, int index, const char *kind);

#endif
