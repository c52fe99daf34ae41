/* SPDX-License-Identifier: MIT
 * Slices, and functions for long lists. */
#include "lua/codec/lslice.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "lua/base/lopen.h"

#define METATABLE "braid.slice"

const struct slice *lslice_test(lua_State *L, int index) { return luaL_testudata(L, index, METATABLE); }

int lslice_element(lua_State *L, int list, lua_Integer i) {
  int type = lua_rawgeti(L, list, i);
  if (type != LUA_TNIL || !lua_getmetatable(L, list)) return type;
  lua_pop(L, 2);
  return lua_geti(L, list, i);
}

/* slice(list, first, count) -> slice */
static int slice_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  struct slice slice = {luaL_checkinteger(L, 2), luaL_checkinteger(L, 3)};
  luaL_argcheck(L, slice.count >= 0 && slice.count < INT_MAX, 3, "not so many");
  memcpy(lua_newuserdatauv(L, sizeof slice, 1), &slice, sizeof slice);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, METATABLE);
  return 1;
}

static int slice_index(lua_State *L) {
  const struct slice *slice = luaL_checkudata(L, 1, METATABLE);
  lua_Integer i = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : 0;
  if (i < 1 || i > slice->count) {
    bool asks = lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "n") == 0;
    return asks ? lua_pushinteger(L, slice->count), 1 : 0;
  }
  lua_getiuservalue(L, 1, 1);
  lslice_element(L, lua_gettop(L), slice->first + i - 1);
  return 1;
}

/* list_new(count) -> an empty table with room for so many elements */
static int list_new(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  lua_createtable(L, count > 0 && count < INT_MAX ? (int)count : 0, 0);
  return 1;
}

/* list_fill(list, first, items, count): list[first] = items[1] and so on */
static int list_fill(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer first = luaL_checkinteger(L, 2), count = luaL_checkinteger(L, 4);
  lua_settop(L, 3);
  bool plain = lua_istable(L, 3) && !lua_getmetatable(L, 3);
  lua_settop(L, 3);
  for (lua_Integer i = 1; i <= count; i++) {
    if (plain)
      lua_rawgeti(L, 3, i);
    else
      lua_geti(L, 3, i);
    lua_rawseti(L, 1, first + i - 1);
  }
  return 0;
}

void lslice_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"slice", slice_new}, {"list_new", list_new}, {"list_fill", list_fill}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  luaL_newmetatable(L, METATABLE);
  lua_pushcfunction(L, slice_index);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
