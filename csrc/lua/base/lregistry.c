/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/base/lregistry.h"

#include <lauxlib.h>

static void make(lua_State *L, const void *key, const char *mode) {
  lua_newtable(L);
  if (mode) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void lregistry_table(lua_State *L, const void *key, const char *mode) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  make(L, key, mode);
}

int lregistry_keep(lua_State *L, const void *key) {
  lregistry_table(L, key, NULL);
  lua_insert(L, -2);
  int slot = luaL_ref(L, -2);
  lua_pop(L, 1);
  return slot;
}

void lregistry_kept(lua_State *L, const void *key, int slot) {
  lregistry_table(L, key, NULL);
  lua_rawgeti(L, -1, slot);
  lua_remove(L, -2);
}

void lregistry_take(lua_State *L, const void *key, int slot) {
  lregistry_table(L, key, NULL);
  lua_rawgeti(L, -1, slot);
  luaL_unref(L, -2, slot);
  lua_remove(L, -2);
}

void lregistry_drop(lua_State *L, const void *key, int slot) {
  lregistry_table(L, key, NULL);
  luaL_unref(L, -1, slot);
  lua_pop(L, 1);
}
