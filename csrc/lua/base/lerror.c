/* SPDX-License-Identifier: MIT
 * Makes error values. lua/braid/errors.lua fills their metatable. */
#include "lua/base/lerror.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

#include "lua/base/lposition.h"
#include "lua/base/ltraceback.h"

/* A user may have changed the message. */
static int text_of(lua_State *L) {
  if (lua_getfield(L, 1, "message") == LUA_TSTRING) return 1;
  lua_getfield(L, 1, "kind");
  lua_pushfstring(L, "%s: a message that is a %s", luaL_tolstring(L, -1, NULL), luaL_typename(L, 2));
  return 1;
}

void lerror_metatable(lua_State *L) {
  if (!luaL_newmetatable(L, LERROR_METATABLE)) return;
  lua_pushcfunction(L, text_of);
  lua_setfield(L, -2, "__tostring");
}

/* Replaces the message on the top of the stack by an error. */
static void wrap(lua_State *L, const char *kind) {
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  lerror_metatable(L);
  lua_setmetatable(L, -2);
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
  position_where(L, 1);
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

int lerror_raise_system(lua_State *L, int error, const char *what) {
  lerror_system(L, error, what);
  return lua_error(L);
}

/* Adds the number as `code` to the error on the top of the stack, and raises it. */
static int raise_with_code(lua_State *L, int error) {
  lua_pushinteger(L, error);
  lua_setfield(L, -2, "code");
  return lua_error(L);
}

int lerror_no_room(lua_State *L, int error, const char *format, ...) {
  va_list arguments;
  position_where(L, 1);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_pushfstring(L, ": %s", strerror(error));
  lua_concat(L, 3);
  wrap(L, "system");
  return raise_with_code(L, error);
}

int lerror_memory(lua_State *L) {
  enum { WORDS = 10 }; /* stack slots that the message needs */
  if (!lua_checkstack(L, WORDS)) {
    lua_pushliteral(L, LERROR_NO_MEMORY);
    return lua_error(L);
  }
  position_where(L, 1);
  lua_pushliteral(L, LERROR_NO_MEMORY);
  lua_concat(L, 2);
  wrap(L, "system");
  return raise_with_code(L, ENOMEM);
}

static const int shortages[] = {ENOMEM, EMFILE, ENFILE, EAGAIN, ENOBUFS};

static bool ends_with(const char *text, size_t size, const char *end) {
  size_t part = strlen(end);
  return size >= part && memcmp(text + size - part, end, part) == 0;
}

/* The text is Lua's own message, or ends with the system's reason, as errors of require and io.open do. */
static int shortage_told(lua_State *L, int index) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  if (ends_with(text, size, LERROR_NO_MEMORY)) return ENOMEM;
  for (size_t i = 0; i < sizeof shortages / sizeof *shortages; i++)
    if (ends_with(text, size, strerror(shortages[i]))) return shortages[i];
  return 0;
}

static int push_shortage(lua_State *L) {
  lua_Integer code = 0;
  if (lua_type(L, 1) == LUA_TSTRING) {
    code = shortage_told(L, 1);
  } else if (lerror_is(L, 1, "system")) {
    lua_getfield(L, 1, "code");
    code = lua_tointeger(L, -1);
  }
  lua_pushinteger(L, code);
  return 1;
}

int lerror_shortage(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, push_shortage);
  lua_pushvalue(L, index);
  lua_Integer code = lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tointeger(L, -1) : ENOMEM;
  lua_pop(L, 1);
  for (size_t i = 0; i < sizeof shortages / sizeof *shortages; i++)
    if (code == shortages[i]) return shortages[i];
  return 0;
}

/* If the Lua layer could not be loaded, errors have no __tostring: the message is used. */
static int tell(lua_State *L) {
  bool bare = lerror_is(L, 1, NULL) && luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL;
  if (bare) lua_getfield(L, 1, "message");
  if (!bare || !lua_isstring(L, -1)) luaL_tolstring(L, 1, NULL);
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
