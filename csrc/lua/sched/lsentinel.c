/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/sched/lsentinel.h"

#include <lauxlib.h>

#define SENTINEL_METATABLE "braid.sentinel"

/* Upvalue: on_end. A sentinel that was replaced does nothing. */
static int on_sentinel(lua_State *L) {
  struct sched *sched = sched_open(L);
  if (sched->sentinel != lua_touserdata(L, 1)) return 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_call(L, 0, 0);
  return 0;
}

/* The old sentinel loses its metatable, so that the collector frees it without a call. */
static void retire(lua_State *L, const struct sched *sched) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &sched->sentinel) == LUA_TUSERDATA) {
    lua_pushnil(L);
    lua_setmetatable(L, -2);
  }
  lua_pop(L, 1);
}

static int make_sentinel(lua_State *L) {
  struct sched *sched = lua_touserdata(L, 1);
  void *sentinel = lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, SENTINEL_METATABLE);
  retire(L, sched);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sched->sentinel);
  sched->sentinel = sentinel;
  return 0;
}

void sentinel_renew(lua_State *L, struct sched *sched) {
  if (sched->ending || sched->closing) return;
  lua_pushcfunction(L, make_sentinel);
  lua_pushlightuserdata(L, sched);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void sentinel_open(lua_State *L, lua_CFunction on_end) {
  luaL_newmetatable(L, SENTINEL_METATABLE);
  lua_pushcfunction(L, on_end);
  lua_pushcclosure(L, on_sentinel, 1);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  sentinel_renew(L, sched_open(L));
}
