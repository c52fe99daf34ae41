/* SPDX-License-Identifier: MIT
 * Lua has no call for this, so the byte in which it keeps a coroutine's status is changed. In all of Lua 5.4 this byte
 * has the same offset. The offset is tested on a coroutine of our own; if the test fails, nothing is ever sealed. */
#include "lua/sched/lseal.h"

#include <lauxlib.h>
#include <stdbool.h>

static int yield(lua_State *L) { return lua_yield(L, 0); }

/* The byte comes after the header of all Lua objects: a pointer and two bytes. `sample` has yielded. */
static size_t find(lua_State *sample) {
  unsigned char *status = (unsigned char *)sample + sizeof(void *) + 2;
  if (lua_status(sample) != LUA_YIELD || *status != LUA_YIELD) return 0;
  *status = LUA_OK;
  bool found = lua_status(sample) == LUA_OK;
  *status = LUA_YIELD;
  return found && lua_status(sample) == LUA_YIELD ? (size_t)(status - (unsigned char *)sample) : 0;
}

void seal_open(lua_State *L, struct seal *seal) {
  int results;
  lua_State *sample = lua_newthread(L);
  lua_pushcfunction(sample, yield);
  seal->place = lua_resume(sample, L, 0, &results) == LUA_YIELD ? find(sample) : 0;
  lua_pop(L, 1);
}
