/* SPDX-License-Identifier: MIT */
#include "lua/postgres/lpgresult.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Makes the list of names, if there is none yet, and pushes all names. */
static void push_names(lua_State *L, const PGresult *result, struct lpgcolumns *columns) {
  int count = columns->count;
  if (!lua_istable(L, columns->names) || (int)lua_rawlen(L, columns->names) != count) {
    lua_createtable(L, count, 0);
    luaL_setmetatable(L, "braid.list");
    for (int i = 0; i < count; i++) {
      lua_pushstring(L, PQfname(result, i));
      lua_rawseti(L, -2, i + 1);
    }
    lua_replace(L, columns->names);
  }
  columns->first = lua_gettop(L) + 1;
  for (int i = 0; i < count; i++) lua_rawgeti(L, columns->names, i + 1);
}

/* The function for a type, which it pushes; 0: there is none. */
static int push_function(lua_State *L, const struct lpgcolumns *columns, Oid oid) {
  if (lua_istable(L, columns->types)) {
    if (lua_rawgeti(L, columns->types, (lua_Integer)oid) != LUA_TNIL) return lua_gettop(L);
    lua_pop(L, 1);
  }
  return oid == LPG_JSON || oid == LPG_JSONB ? columns->json : 0;
}

/* What is known of a column's type; pushes up to two functions. */
static void find_type(lua_State *L, const PGresult *result, const struct lpgcolumns *columns, int column,
                      struct lpgtype *type) {
  *type = (struct lpgtype){.oid = PQftype(result, column)};
  type->function = push_function(L, columns, type->oid);
  type->element = type->function ? 0 : lpgtype_element(type->oid);
  if (type->element) type->of_element = push_function(L, columns, type->element);
}

void lpgresult_columns(lua_State *L, const PGresult *result, struct lpgcolumns *columns) {
  int count = columns->count = PQnfields(result);
  luaL_checkstack(L, 3 * count + LUA_MINSTACK, "a row");
  columns->all = lua_newuserdatauv(L, (size_t)count * sizeof *columns->all, 0);
  for (int i = 0; i < count; i++) find_type(L, result, columns, i, &columns->all[i]);
  push_names(L, result, columns);
}

static void push_field(lua_State *L, const PGresult *result, const struct lpgcolumns *columns, int row, int column) {
  if (PQgetisnull(result, row, column))
    lua_pushlightuserdata(L, NULL);
  else
    lpgtype_push(L, &columns->all[column], PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

static void push_list(lua_State *L, const PGresult *result, const struct lpgcolumns *columns, int row) {
  lua_createtable(L, columns->count, 0);
  for (int i = 0; i < columns->count; i++) {
    push_field(L, result, columns, row, i);
    lua_rawseti(L, -2, i + 1);
  }
}

void lpgresult_row(lua_State *L, const PGresult *result, const struct lpgcolumns *columns, int row, int shape) {
  if ((shape & LPG_SHAPE) == LPG_LISTS) {
    push_list(L, result, columns, row);
    return;
  }
  lua_createtable(L, 0, columns->count);
  for (int i = 0; i < columns->count; i++) {
    if (!(shape & LPG_KEEP_NULLS) && PQgetisnull(result, row, i)) continue;
    lua_pushvalue(L, columns->first + i);
    push_field(L, result, columns, row, i);
    lua_rawset(L, -3);
  }
}

/* "INSERT 0 5" -> "INSERT" and 5. */
static void set_outcome(lua_State *L, PGresult *result) {
  const char *status = PQcmdStatus(result), *affected = PQcmdTuples(result);
  size_t size = strcspn(status, "0123456789");
  while (size > 0 && status[size - 1] == ' ') size--;
  lua_pushlstring(L, status, size);
  lua_setfield(L, -2, "command");
  if (!*affected) return;
  lua_pushinteger(L, (lua_Integer)strtoll(affected, NULL, 10));
  lua_setfield(L, -2, "affected");
}

static void push_result(lua_State *L, const PGresult *result, struct lpgcolumns *columns, int shape) {
  int count = PQntuples(result);
  lua_createtable(L, count, 3);
  int table = lua_gettop(L);
  if (PQnfields(result) > 0 || count > 0) {
    lpgresult_columns(L, result, columns);
    for (int i = 0; i < count; i++) {
      lpgresult_row(L, result, columns, i, shape);
      lua_rawseti(L, table, i + 1);
    }
    lua_settop(L, table);
    lua_pushvalue(L, columns->names);
  } else {
    lua_newtable(L);
    luaL_setmetatable(L, "braid.list");
  }
  lua_setfield(L, table, "columns");
  set_outcome(L, (PGresult *)result);
}

static void push_value(lua_State *L, const PGresult *result, struct lpgcolumns *columns, int shape) {
  struct lpgtype type;
  if (PQnfields(result) == 0 || (!(shape & LPG_KEEP_NULLS) && PQgetisnull(result, 0, 0))) {
    lua_pushnil(L);
    return;
  }
  find_type(L, result, columns, 0, &type);
  columns->all = &type;
  push_field(L, result, columns, 0, 0);
  columns->all = NULL;
}

static void push_first(lua_State *L, const PGresult *result, struct lpgcolumns *columns, int shape) {
  int base = lua_gettop(L);
  if (PQntuples(result) == 0) {
    lua_pushnil(L);
    return;
  }
  if ((shape & LPG_SHAPE) == LPG_FIRST) {
    lpgresult_columns(L, result, columns);
    lpgresult_row(L, result, columns, 0, shape);
  } else {
    push_value(L, result, columns, shape);
  }
  lua_insert(L, base + 1);
  lua_settop(L, base + 1);
}

void lpgresult_push(lua_State *L, const PGresult *result, struct lpgcolumns *columns, int shape) {
  if ((shape & LPG_SHAPE) >= LPG_FIRST)
    push_first(L, result, columns, shape);
  else
    push_result(L, result, columns, shape);
}
