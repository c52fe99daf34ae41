/* SPDX-License-Identifier: MIT
 * A connection of libpq as a userdata. The state's own thread; nothing blocks. */
#ifndef BRAID_LPGCONNECTION_H
#define BRAID_LPGCONNECTION_H

#include <libpq-fe.h>
#include <lua.h>
#include <stdbool.h>
#include <sys/types.h>

#define LPGCONNECTION "braid.postgres.connection"

struct lpgconnection {
  PGconn *conn;     /* NULL: it is closed */
  PGresult *result; /* that Lua values are made of just now */
  bool doomed;      /* the server has said that it ends the connection */
  pid_t owner;      /* the process that has opened it: a forked child must not end it */
};

/* The connection at index 1. */
struct lpgconnection *lpgconnection_check(lua_State *L);

/* The same; raises if it is closed. */
PGconn *lpgconnection_check_open(lua_State *L);

/* Gives back the result that Lua values were made of. */
void lpgconnection_forget_result(struct lpgconnection *connection);

/* Pushes nil and the reason, and returns 2. */
int lpgconnection_refuse(lua_State *L, const PGconn *conn);

/* Functions of the Lua layer. */
enum lpghelper { LPG_DECODE_JSON = 1, LPG_ENCODE_TABLE };

/* Keeps them; they are on the top of the stack, and are popped. */
void lpgconnection_set_helpers(lua_State *L);

/* Pushes a table and then the function. */
void lpgconnection_push_helper(lua_State *L, enum lpghelper which);

#endif
