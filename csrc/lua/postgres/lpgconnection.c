/* SPDX-License-Identifier: MIT
 * Lua's helpers are in the registry. */
#include "lua/postgres/lpgconnection.h"

#include <lauxlib.h>

#include "lua/postgres/lpgerror.h"

static const char HELPERS; /* registry key, by address: { json_decode, encode_table } */

struct lpgconnection *lpgconnection_check(lua_State *L) {
  return luaL_checkudata(L, 1, LPGCONNECTION);
}

PGconn *lpgconnection_check_open(lua_State *L) {
  struct lpgconnection *connection = lpgconnection_check(L);
  if (!connection->conn) luaL_error(L, "the connection is closed");
  return connection->conn;
}

void lpgconnection_forget_result(struct lpgconnection *connection) {
  if (connection->result) PQclear(connection->result);
  connection->result = NULL;
}

int lpgconnection_refuse(lua_State *L, const PGconn *conn) {
  lua_pushnil(L);
  lpgerror_push_reason(L, conn);
  return 2;
}

void lpgconnection_set_helpers(lua_State *L) {
  lua_createtable(L, 2, 0);
  lua_insert(L, -3);
  lua_rawseti(L, -3, LPG_ENCODE_TABLE);
  lua_rawseti(L, -2, LPG_DECODE_JSON);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &HELPERS);
}

void lpgconnection_push_helper(lua_State *L, enum lpghelper which) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &HELPERS);
  lua_rawgeti(L, -1, which);
}
