/* SPDX-License-Identifier: MIT
 * Error values of the module for PostgreSQL: tables with braid's metatable. The state's own thread. */
#ifndef BRAID_LPGERROR_H
#define BRAID_LPGERROR_H

#include <libpq-fe.h>
#include <lua.h>

/* Pushes an error of kind "postgres" with what the server has said in a result. */
void lpgerror_push(lua_State *L, const PGresult *result);

/* Raises kind "postgres" with a formatted message (lua_pushfstring's formats). Never returns. */
int lpgerror_raise(lua_State *L, const char *format, ...);

/* Pops the Lua function that raises kind "misuse" with the caller's position. */
void lpgerror_open(lua_State *L);

/* Raises kind "misuse" by that function. Never returns. */
int lpgerror_misuse(lua_State *L, const char *format, ...);

/* Pushes libpq's message about a connection, in one line. */
void lpgerror_push_reason(lua_State *L, const PGconn *conn);

#endif
