/* SPDX-License-Identifier: MIT
 * What makes Lua values of a result may raise. So it is called protected, and its error becomes that of the slot: the
 * connection must take all that the server sends. */
#include "lua/postgres/lpganswer.h"

#include <lauxlib.h>

#include "lua/postgres/lpgconnection.h"
#include "lua/postgres/lpgerror.h"
#include "lua/postgres/lpgresult.h"

enum { SLOT = 2 };

static void set_slot(lua_State *L, const char *name) { lua_setfield(L, SLOT, name); }

static bool slot_has(lua_State *L, const char *name) {
  lua_getfield(L, SLOT, name);
  bool has = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return has;
}

static int slot_integer(lua_State *L, const char *name) {
  lua_getfield(L, SLOT, name);
  int value = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return value;
}

/* Pushes what the slot knows of its columns. */
static struct lpgcolumns push_known(lua_State *L) {
  struct lpgcolumns columns = {0};
  lua_getfield(L, SLOT, "columns");
  columns.names = lua_gettop(L);
  lua_getfield(L, SLOT, "types");
  columns.types = lua_gettop(L);
  lpgconnection_push_helper(L, LPG_DECODE_JSON);
  columns.json = lua_gettop(L);
  return columns;
}

/* (connection, slot): sets slot.value. Called protected. */
static int build(lua_State *L) {
  const struct lpgconnection *connection = lua_touserdata(L, 1);
  struct lpgcolumns columns = push_known(L);
  lpgresult_push(L, connection->result, &columns, slot_integer(L, "shape"));
  set_slot(L, "value");
  return 0;
}

/* What a description says: the types of the parameters, and the names of the columns. */
static int describe(lua_State *L) {
  const PGresult *result = ((struct lpgconnection *)lua_touserdata(L, 1))->result;
  int count = PQnparams(result), columns = PQnfields(result);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (int i = 0; i < count; i++) {
    Oid type = PQparamtype(result, i);
    luaL_addlstring(&buffer, (const char *)&type, sizeof type);
  }
  luaL_pushresult(&buffer);
  set_slot(L, "parameters");
  lua_createtable(L, columns, 0);
  luaL_setmetatable(L, "braid.list");
  for (int i = 0; i < columns; i++) {
    lua_pushstring(L, PQfname(result, i));
    lua_rawseti(L, -2, i + 1);
  }
  set_slot(L, "columns");
  return 0;
}

/* Calls a function that makes Lua values of the result; its error becomes slot.err. */
static void protect(lua_State *L, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, SLOT);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) set_slot(L, "err");
}

static void keep_error(lua_State *L, const PGresult *result) {
  if (slot_has(L, "err")) return;
  lpgerror_push(L, result);
  set_slot(L, "err");
}

static void set_copy(lua_State *L, const char *direction) {
  lua_pushstring(L, direction);
  set_slot(L, "copy");
}

/* Takes a result. True when the slot's work has ended, or is a copy now. */
static bool take_result(lua_State *L, struct lpgconnection *connection) {
  ExecStatusType status = PQresultStatus(connection->result);
  bool ended = status == PGRES_PIPELINE_SYNC;
  switch (status) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY: protect(L, slot_has(L, "describe") ? describe : build); break;
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE: keep_error(L, connection->result); break;
    case PGRES_COPY_IN:
      set_copy(L, "in");
      ended = true;
      break;
    case PGRES_COPY_OUT:
      set_copy(L, "out");
      ended = true;
      break;
    default: break;
  }
  lpgconnection_forget_result(connection);
  return ended;
}

/* A copy began where none was expected, among statements that follow each other: libpq cannot leave it. */
static int refuse_copy(lua_State *L) {
  lua_pushnil(L);
  lua_pushliteral(L, "a COPY from or to this side has methods of its own: copy_in and copy_out");
  return 2;
}

int lpganswer_take(lua_State *L) {
  struct lpgconnection *connection = lpgconnection_check(L);
  PGconn *conn = lpgconnection_check_open(L);
  luaL_checktype(L, SLOT, LUA_TTABLE);
  lua_settop(L, SLOT);
  bool ended = false;
  for (int empty = 0; !ended && empty < 2;) {
    if (PQisBusy(conn)) {
      lua_pushboolean(L, 0);
      return 1;
    }
    connection->result = PQgetResult(conn);
    if (connection->result) {
      empty = 0;
      ended = take_result(L, connection);
    } else {
      empty++;
      ended = PQpipelineStatus(conn) == PQ_PIPELINE_OFF;
    }
  }
  if (PQstatus(conn) == CONNECTION_BAD || !ended) return lpgconnection_refuse(L, conn);
  if (slot_has(L, "copy") && PQpipelineStatus(conn) != PQ_PIPELINE_OFF) return refuse_copy(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* What has come of a statement that gives its rows one by one. */
struct rows {
  lua_Integer most; /* rows of the list */
  bool ended, lost, copy;
};

/* Takes one result. Returns whether it is a row. */
static bool take_row(PGconn *conn, struct lpgconnection *connection, struct rows *rows) {
  int empty = 0;
  do connection->result = PQgetResult(conn);
  while (!connection->result && ++empty < 2 && !PQisBusy(conn));
  if (!connection->result) rows->lost = empty == 2 || PQstatus(conn) == CONNECTION_BAD;
  if (!connection->result) return false;
  ExecStatusType status = PQresultStatus(connection->result);
  rows->ended = status == PGRES_PIPELINE_SYNC;
  rows->copy = rows->lost = status == PGRES_COPY_IN || status == PGRES_COPY_OUT;
  return status == PGRES_SINGLE_TUPLE;
}

/* (connection, slot, list, rows): adds rows to the list while they are there. Called protected. */
static int build_rows(lua_State *L) {
  struct lpgconnection *connection = lua_touserdata(L, 1);
  struct rows *rows = lua_touserdata(L, 4);
  int shape = slot_integer(L, "shape");
  struct lpgcolumns columns = push_known(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
  while (!rows->ended && !rows->lost && count < rows->most && !PQisBusy(connection->conn)) {
    if (take_row(connection->conn, connection, rows)) {
      if (!columns.all) lpgresult_columns(L, connection->result, &columns);
      lpgresult_row(L, connection->result, &columns, 0, shape);
      lua_rawseti(L, 3, ++count);
    } else if (connection->result && PQresultStatus(connection->result) == PGRES_FATAL_ERROR) {
      keep_error(L, connection->result);
    }
    lpgconnection_forget_result(connection);
  }
  return 0;
}

/* Drops what is left of the rows, after an error of this side. */
static void drop_rows(struct lpgconnection *connection, struct rows *rows) {
  while (!rows->ended && !rows->lost && !PQisBusy(connection->conn)) {
    take_row(connection->conn, connection, rows);
    lpgconnection_forget_result(connection);
  }
}

int lpganswer_take_rows(lua_State *L) {
  struct lpgconnection *connection = lpgconnection_check(L);
  PGconn *conn = lpgconnection_check_open(L);
  luaL_checktype(L, SLOT, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  struct rows rows = {.most = luaL_checkinteger(L, 4)};
  if (slot_has(L, "err")) {
    drop_rows(connection, &rows);
  } else {
    lua_pushcfunction(L, build_rows);
    for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
    lua_pushlightuserdata(L, &rows);
    if (lua_pcall(L, 4, 0, 0) != LUA_OK) set_slot(L, "err");
    lpgconnection_forget_result(connection);
  }
  if (rows.copy) return refuse_copy(L);
  if (rows.lost || PQstatus(conn) == CONNECTION_BAD) return lpgconnection_refuse(L, conn);
  lua_pushboolean(L, rows.ended);
  return 1;
}
