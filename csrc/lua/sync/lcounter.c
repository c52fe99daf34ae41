/* SPDX-License-Identifier: MIT
 * Counters, for Lua. */
#include "core/sync/counter.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

static struct braid_counter *check(lua_State *L) {
  return braid_container(lobject_check(L, 1, &braid_counter_class), struct braid_counter, object);
}

static int counter_new(lua_State *L) {
  lua_Integer start = lua_isnoneornil(L, 1) ? 0 : larg_integer(L, 1, "start", LUA_MININTEGER);
  lobject_box(L, &braid_counter_class);
  struct braid_counter *counter = braid_counter_new(start);
  lobject_fill(L, counter ? &counter->object : NULL);
  return 1;
}

/* counter:add(n?) -> the new value */
static int counter_add(lua_State *L) {
  struct braid_counter *counter = check(L);
  lua_Integer n = lua_isnoneornil(L, 2) ? 1 : larg_integer(L, 2, "n", LUA_MININTEGER);
  lua_Unsigned before = (lua_Unsigned)atomic_fetch_add(&counter->value, n);
  lua_pushinteger(L, (lua_Integer)(before + (lua_Unsigned)n));
  return 1;
}

static int counter_get(lua_State *L) {
  lua_pushinteger(L, atomic_load(&check(L)->value));
  return 1;
}

static int counter_set(lua_State *L) {
  struct braid_counter *counter = check(L);
  atomic_store(&counter->value, larg_integer(L, 2, "value", LUA_MININTEGER));
  return 0;
}

static const luaL_Reg methods[] = {{"add", counter_add}, {"get", counter_get}, {"set", counter_set}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"counter_new", counter_new}, {NULL, NULL}};

void lcounter_open(lua_State *L) {
  sched_register(L, functions);
  lobject_class(L, &braid_counter_class, methods);
  lua_setfield(L, -2, "Counter");
}
