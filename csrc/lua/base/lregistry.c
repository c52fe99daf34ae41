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

void lregistry_drop(lua_State *L, const void *key, int slot) {
  lregistry_table(L, key, NULL);
  luaL_unref(L, -1, slot);
  lua_pop(L, 1);
}

static bool open_more(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, LREGISTRY_MORE) != LUA_TFUNCTION) return false;
  lua_call(L, 0, 1);
  return lua_toboolean(L, -1);
}

bool lregistry_know(lua_State *L, const char *class) {
  int top = lua_gettop(L);
  bool known = false, more = true;
  while (!known && more) {
    known = luaL_getmetatable(L, class) == LUA_TTABLE;
    more = known || open_more(L);
    lua_settop(L, top);
  }
  return known;
}

static bool push_hook(lua_State *L, const char *name) {
  lua_pushfstring(L, "braid.%s", name);
  if (lua_rawget(L, LUA_REGISTRYINDEX) == LUA_TFUNCTION) return true;
  lua_pop(L, 1);
  return false;
}

bool lregistry_hook(lua_State *L, const char *name) {
  if (push_hook(L, name)) return true;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "braid.errors");
  bool loaded = lua_pcall(L, 1, 1, 0) == LUA_OK;
  lua_pop(L, 1);
  return loaded && push_hook(L, name);
}
