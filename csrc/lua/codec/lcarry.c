/* SPDX-License-Identifier: MIT
 * The functions of the Lua layer are in the registry; set_hook puts them there. */
#include "lua/codec/lcarry.h"

#include <lauxlib.h>

#include "lua/base/lopen.h"

static const char CLASS; /* registry key, by address: the metatable of such tables */

void carry_wrap(lua_State *L, struct sched *sched, int index, int to) {
  if (__builtin_expect(!sched->carries, true)) return;
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, NULL);
  lua_getfield(L, LUA_REGISTRYINDEX, "braid.carry");
  lua_pushvalue(L, index);
  if (to > 0)
    lua_pushvalue(L, to);
  else
    lua_pushboolean(L, to == CARRY_FAR_JOB);
  lua_call(L, 2, 1);
  lua_replace(L, index);
}

void carry_begin(lua_State *L, struct sched *sched) {
  if (__builtin_expect(!sched->carries, true)) return;
  luaL_checkstack(L, 4, NULL);
  lua_getfield(L, LUA_REGISTRYINDEX, "braid.forget");
  lua_call(L, 0, 0);
}

static bool is_wrapped(lua_State *L) {
  if (!lua_istable(L, -1) || !lua_getmetatable(L, -1)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASS);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

void carry_unwrap(lua_State *L, struct sched *sched) {
  if (__builtin_expect(!sched->carries, true)) return;
  luaL_checkstack(L, 4, NULL);
  if (!is_wrapped(L)) return;
  lua_getfield(L, LUA_REGISTRYINDEX, "braid.unwrap");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

/* carry(class): from now on the hooks "carry", "forget" and "unwrap" are called in this state */
static int carry(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CLASS);
  sched->carries = true;
  return 0;
}

static const luaL_Reg functions[] = {{"carry", carry}, {NULL, NULL}};

void lcarry_open(lua_State *L) { sched_register(L, functions); }
