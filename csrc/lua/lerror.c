/* SPDX-License-Identifier: MIT
 * The metatable is furnished by lua/braid/errors.lua; here errors are made. */
#include "lerror.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

#include "lsight.h"
#include "ltraceback.h"

/* The message is on the top of the stack: an error takes its place. */
static void wrap(lua_State *L, const char *kind) {
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  luaL_setmetatable(L, LERROR_METATABLE);
}

void lerror_push(lua_State *L, const char *kind, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  wrap(L, kind);
}

int lerror_raise(lua_State *L, const char *kind, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  wrap(L, kind);
  lua_pushnil(L);
  return traceback_raise(L);
}

int lerror_misuse(lua_State *L, const char *format, ...) {
  va_list arguments;
  sight_where(L, 1);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  wrap(L, "misuse");
  lua_pushnil(L);
  return traceback_raise(L);
}

static const char *sentence(enum braid_status status) {
  switch (status) {
    case BRAID_TIMEOUT: return "timed out";
    case BRAID_CLOSED: return "it is closed";
    case BRAID_FULL: return "it is full";
    case BRAID_EMPTY: return "nothing is there";
    case BRAID_OWNER_DIED: return "its owner ended while holding it";
    case BRAID_BROKEN: return "it is broken";
    case BRAID_GONE: return "the process that made it has ended";
    default: return braid_status_name(status);
  }
}

int lerror_return(lua_State *L, enum braid_status status, const char *what) {
  if (status == BRAID_NO_MEMORY) return lerror_memory(L);
  lua_pushnil(L);
  lerror_push(L, braid_status_name(status), "%s: %s", what, sentence(status));
  return 2;
}

int lerror_system(lua_State *L, int error, const char *what) {
  lua_pushnil(L);
  lerror_push(L, "system", "%s: %s", what, strerror(error));
  lua_pushinteger(L, error);
  lua_setfield(L, -2, "code");
  return 2;
}

int lerror_memory(lua_State *L) {
  lua_pushliteral(L, "not enough memory");
  return lua_error(L);
}

static int tell(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *lerror_text(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, tell);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushfstring(L, "a %s whose __tostring fails", luaL_typename(L, index));
  }
  return lua_tostring(L, -1);
}

int lerror_is(lua_State *L, int index, const char *kind) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return 0;
  luaL_getmetatable(L, LERROR_METATABLE);
  int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!same || !kind) return same;
  lua_getfield(L, index, "kind");
  const char *found = lua_tostring(L, -1);
  same = found && strcmp(found, kind) == 0;
  lua_pop(L, 1);
  return same;
}
