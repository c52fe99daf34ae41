/* SPDX-License-Identifier: MIT
 * braid.wrap: a coroutine whose yields are the iterator's, and whose waits are carried up to the task that drives it.
 */
#include <lauxlib.h>

#include "larg.h"
#include "lerror.h"
#include "lopen.h"
#include "lsched.h"

static int drive_k(lua_State *L, int status, lua_KContext context);

/* Raises the error that ended the coroutine. */
static int fail(lua_State *L, lua_State *co) {
  lua_xmove(co, L, 1);
  lua_resetthread(co);
  return lua_error(L);
}

static int drive(lua_State *L, struct sched *sched, lua_State *co, int arguments) {
  struct task *task = sched->current;
  lua_State *before = sched->running;
  bool script = task == &sched->tree.script;
  /* Where the task could not be suspended from here, nothing inside may wait either. */
  sched->running = script || (L == before && lua_isyieldable(L)) ? co : NULL;
  int results, status = lua_resume(co, L, arguments, &results);
  sched->running = before;
  if (status == LUA_YIELD && !script && (task->waiter.flags & TASK_PARKED)) {
    lua_pop(co, results);
    return lua_yieldk(L, 0, (lua_KContext)co, drive_k);
  }
  if (status != LUA_OK && status != LUA_YIELD) return fail(L, co);
  luaL_checkstack(L, results, "too many values");
  lua_xmove(co, L, results);
  return results;
}

static int drive_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  return drive(L, sched_of(L), (lua_State *)context, 0);
}

/* The iterator: upvalue 2 is the coroutine. */
static int next_value(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int arguments = lua_gettop(L);
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) return lerror_misuse(L, "this iterator has ended");
  if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) return lerror_misuse(L, "this iterator has failed");
  if (!lua_checkstack(co, arguments)) return lerror_memory(L);
  lua_xmove(L, co, arguments);
  return drive(L, sched_of(L), co, arguments);
}

/* wrap(fn) -> iterator, like coroutine.wrap; what runs inside may wait. */
static int lua_wrap(lua_State *L) {
  larg_function(L, 1, "fn");
  lua_settop(L, 1);
  lua_pushlightuserdata(L, sched_of(L));
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, next_value, 2);
  return 1;
}

static const luaL_Reg functions[] = {{"wrap", lua_wrap}, {NULL, NULL}};

void lwrap_open(lua_State *L) { sched_register(L, functions); }
