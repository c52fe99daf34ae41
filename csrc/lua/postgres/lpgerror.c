/* SPDX-License-Identifier: MIT */
#include "lua/postgres/lpgerror.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Makes an error of the message on the top of the stack. */
static void make(lua_State *L, const char *kind) {
  lua_createtable(L, 0, 8);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  luaL_setmetatable(L, "braid.error");
}

static int raise(lua_State *L, const char *kind, const char *format, va_list arguments) {
  lua_pushvfstring(L, format, arguments);
  make(L, kind);
  return lua_error(L);
}

int lpgerror_raise(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  return raise(L, "postgres", format, arguments);
}

static const char MISUSE; /* registry key, by address */

void lpgerror_open(lua_State *L) { lua_rawsetp(L, LUA_REGISTRYINDEX, &MISUSE); }

int lpgerror_misuse(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &MISUSE);
  lua_pushvfstring(L, format, arguments);
  lua_call(L, 1, 0);
  return 0;
}

static void push_line(lua_State *L, const char *text) {
  size_t size = strlen(text);
  while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' ')) size--;
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (size_t i = 0; i < size; i++) {
    if (text[i] != '\n' && text[i] != '\t')
      luaL_addchar(&buffer, text[i]);
    else if (text[i] == '\n')
      luaL_addstring(&buffer, "; ");
  }
  luaL_pushresult(&buffer);
}

void lpgerror_push_reason(lua_State *L, const PGconn *conn) { push_line(L, PQerrorMessage(conn)); }

void lpgerror_push(lua_State *L, const PGresult *result) {
  static const struct {
    int code;
    const char *name;
  } fields[] = {
      {PG_DIAG_SQLSTATE, "sqlstate"},          {PG_DIAG_SEVERITY_NONLOCALIZED, "severity"},
      {PG_DIAG_MESSAGE_DETAIL, "detail"},      {PG_DIAG_MESSAGE_HINT, "hint"},
      {PG_DIAG_CONSTRAINT_NAME, "constraint"}, {PG_DIAG_TABLE_NAME, "table"},
      {PG_DIAG_COLUMN_NAME, "column"},         {PG_DIAG_SCHEMA_NAME, "schema"},
      {PG_DIAG_DATATYPE_NAME, "datatype"},     {PG_DIAG_CONTEXT, "context"},
  };
  const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  push_line(L, primary ? primary : PQresultErrorMessage(result));
  make(L, "postgres");
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    const char *value = PQresultErrorField(result, fields[i].code);
    if (!value) continue;
    lua_pushstring(L, value);
    lua_setfield(L, -2, fields[i].name);
  }
  const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
  if (!position) return;
  lua_pushinteger(L, atoi(position));
  lua_setfield(L, -2, "position");
}
