/* SPDX-License-Identifier: MIT
 * All errors for wrong arguments have the same form. */
#include "lua/base/larg.h"

#include <lauxlib.h>
#include <string.h>

#include "core/base/virtual_clock.h"
#include "lua/base/lerror.h"
#include "lua/base/lposition.h"

const char *larg_describe(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TNUMBER) return luaL_tolstring(L, index, NULL);
  if (lua_isnoneornil(L, index)) return "nil";
  return lua_pushfstring(L, "a %s", luaL_typename(L, index));
}

int larg_error(lua_State *L, int index, const char *name, const char *expected) {
  const char *got = larg_describe(L, index);
  position_callee(L);
  return lerror_misuse(L, "bad argument '%s' to '%s' (%s expected, got %s)", name, lua_tostring(L, -1), expected, got);
}

int64_t larg_timeout(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return BRAID_NEVER;
  if (lua_type(L, index) != LUA_TNUMBER || !(lua_tonumber(L, index) >= 0))
    larg_error(L, index, "timeout", "seconds, not negative,");
  lua_Number seconds = lua_tonumber(L, index);
  return seconds == 0 ? LARG_ONCE : braid_time_after(seconds);
}

lua_Integer larg_integer(lua_State *L, int index, const char *name, lua_Integer least) {
  int whole;
  lua_Integer value = lua_tointegerx(L, index, &whole);
  if (lua_type(L, index) != LUA_TNUMBER || !whole || value < least) {
    if (lua_isnone(L, index)) lua_settop(L, index); /* the text pushed below must not count as the argument */
    lua_pushfstring(L, "an integer from %I", (LUAI_UACINT)least);
    larg_error(L, index, name, least == LUA_MININTEGER ? "an integer" : lua_tostring(L, -1));
  }
  return value;
}

lua_Integer larg_between(lua_State *L, int index, const char *name, lua_Integer least, lua_Integer most) {
  lua_Integer value = larg_integer(L, index, name, least);
  if (value <= most) return value;
  lua_pushfstring(L, "an integer from %I to %I", (LUAI_UACINT)least, (LUAI_UACINT)most);
  larg_error(L, index, name, lua_tostring(L, -1));
  return 0;
}

lua_Number larg_number(lua_State *L, int index, const char *name) {
  if (lua_type(L, index) != LUA_TNUMBER) larg_error(L, index, name, "a number");
  return lua_tonumber(L, index);
}

const char *larg_string(lua_State *L, int index, const char *name, size_t *size) {
  if (lua_type(L, index) != LUA_TSTRING) larg_error(L, index, name, "a string");
  return lua_tolstring(L, index, size);
}

static int callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return 1;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return 0;
  lua_pop(L, 1);
  return 1;
}

void larg_function(lua_State *L, int index, const char *name) {
  if (!callable(L, index)) larg_error(L, index, name, "a function");
}

size_t larg_list(lua_State *L, int index, const char *name, const char *expected) {
  if (!lua_istable(L, index)) larg_error(L, index, name, expected);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    bool is_count = lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "n") == 0;
    if (!lua_isinteger(L, -2) && !is_count) larg_error(L, index, name, "a list without names");
  }
  return lua_rawlen(L, index);
}

static const char KIND; /* its address is a key in braid's metatables; the value is the name */

void larg_mark(lua_State *L, const char *name) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)name);
  lua_rawsetp(L, -2, &KIND);
}

void *larg_test(lua_State *L, int index, const char *name) {
  if (!lua_getmetatable(L, index)) return NULL;
  lua_rawgetp(L, -1, &KIND);
  const char *kind = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return kind && (kind == name || strcmp(kind, name) == 0) ? lua_touserdata(L, index) : NULL;
}

/* Pushes the name that the class gives to the running C function. */
static void push_method(lua_State *L, const char *class) {
  lua_Debug ar;
  int top = lua_gettop(L);
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  luaL_getmetatable(L, class);
  for (lua_pushnil(L); lua_istable(L, top + 2) && lua_next(L, top + 2); lua_pop(L, 1)) {
    if (!lua_rawequal(L, -1, top + 1) || lua_type(L, -2) != LUA_TSTRING) continue;
    lua_pop(L, 1);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return;
  }
  lua_settop(L, top);
  position_callee(L);
}

int larg_self(lua_State *L, const char *class) {
  const char *got = larg_describe(L, 1), *last = strrchr(class, '.');
  push_method(L, class);
  const char *method = lua_tostring(L, -1);
  return lerror_misuse(L, "call it with a colon: %s:%s(...) (%s expected as self, got %s)", last ? last + 1 : class,
                       *method == '_' ? method + 1 : method, class, got);
}

int larg_refuse(lua_State *L, int index, const char *metatable) {
  return index == 1 ? larg_self(L, metatable) : larg_error(L, index, "object", metatable);
}

void *larg_object(lua_State *L, int index, const char *metatable) {
  void *object = larg_test(L, index, metatable);
  if (!object) larg_refuse(L, index, metatable);
  return object;
}
