/* SPDX-License-Identifier: MIT
 * Lua has no call for this: the byte in which it keeps a coroutine's status is changed. All of Lua 5.4 has it in the
 * same place; it is tried on a coroutine of our own, and where it is not found nothing is ever sealed. */
#include "lua/sched/lseal.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdbool.h>

size_t seal_place;

static _Thread_local lua_State *sample;

static int yield(lua_State *L) { return lua_yield(L, 0); }

/* Behind the header that all of Lua's objects have: a pointer and two bytes. */
static void find(void) {
  unsigned char *status = (unsigned char *)sample + sizeof(void *) + 2;
  if (lua_status(sample) != LUA_YIELD || *status != LUA_YIELD) return;
  *status = LUA_OK;
  bool found = lua_status(sample) == LUA_OK;
  *status = LUA_YIELD;
  if (found && lua_status(sample) == LUA_YIELD) seal_place = (size_t)(status - (unsigned char *)sample);
}

void seal_open(lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int results;
  sample = lua_newthread(L);
  lua_pushcfunction(sample, yield);
  if (lua_resume(sample, L, 0, &results) == LUA_YIELD) pthread_once(&once, find);
  lua_pop(L, 1);
}
