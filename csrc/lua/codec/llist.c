/* SPDX-License-Identifier: MIT
 * A list without nils has no field `n`: its length is that of its table, so it can be changed like any table. The `n`
 * of other lists grows when elements are added after the end. */
#include "lua/codec/llist.h"

#include <lauxlib.h>

#include "lua/base/lopen.h"

static const char LIST; /* the metatable's registry key */

void llist_metatable(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &LIST); }

bool llist_is(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  llist_metatable(L);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

static bool has_element(lua_State *L, int index, lua_Integer i) {
  bool has = lua_rawgeti(L, index, i) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

lua_Integer llist_count(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushliteral(L, "n");
  lua_rawget(L, index);
  bool told = lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0;
  lua_Integer before = told ? lua_tointeger(L, -1) : (lua_Integer)lua_rawlen(L, index), count = before;
  lua_pop(L, 1);
  if (!told) return count;
  while (count < LUA_MAXINTEGER && has_element(L, index, count + 1)) count++;
  if (count == before) return count;
  lua_pushliteral(L, "n");
  lua_pushinteger(L, count);
  lua_rawset(L, index);
  return count;
}

static bool is_n(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return false;
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  return size == 1 && *text == 'n';
}

bool llist_is_count(lua_State *L, int index) { return is_n(L, index) && lua_isinteger(L, index + 1); }

static int list_index(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (is_n(L, 2))
    lua_pushinteger(L, llist_count(L, 1));
  else
    lua_pushnil(L);
  return 1;
}

static int list_len(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushinteger(L, llist_count(L, 1));
  return 1;
}

/* Like next(), but skips the field `n`. */
static int list_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  while (lua_next(L, 1)) {
    if (!llist_is_count(L, -2)) return 2;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  return 1;
}

static int list_pairs(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushcfunction(L, list_next);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/* Adds the value on the top of the stack to the list at `list`, which is made if there is nil, and pops it. */
static void add(lua_State *L, int list) {
  if (lua_isnil(L, list)) {
    lua_newtable(L);
    lua_replace(L, list);
  }
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

/* list_others(table, n) -> the keys that are no integers, but without "n"; the integers that are not from 1 to n. Nil:
 * there are none. */
static int list_others(lua_State *L) {
  enum { TABLE = 1, COUNT, NAMES, FAR, KEY };
  luaL_checktype(L, TABLE, LUA_TTABLE);
  lua_Integer count = luaL_checkinteger(L, COUNT);
  lua_settop(L, FAR);
  for (lua_pushnil(L); lua_next(L, TABLE);) {
    lua_pop(L, 1);
    bool integer = lua_isinteger(L, KEY);
    if (integer && lua_tointeger(L, KEY) >= 1 && lua_tointeger(L, KEY) <= count) continue;
    if (!integer && is_n(L, KEY)) continue;
    lua_pushvalue(L, KEY);
    add(L, integer ? FAR : NAMES);
  }
  return 2;
}

/* list_has_hole(table, n) -> whether one of the elements from 1 to n is nil */
static int list_has_hole(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer count = luaL_checkinteger(L, 2), i = 1;
  while (i <= count && has_element(L, 1, i)) i++;
  lua_pushboolean(L, i <= count);
  return 1;
}

static const luaL_Reg methods[] = {{"__index", list_index}, {"__len", list_len}, {"__pairs", list_pairs}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"list_others", list_others}, {"list_has_hole", list_has_hole}, {NULL, NULL}};

void llist_open(lua_State *L) {
  luaL_newmetatable(L, "braid.list");
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &LIST);
  lua_setfield(L, -2, "List");
  luaL_setfuncs(L, functions, 0);
}
