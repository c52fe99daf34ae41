/* SPDX-License-Identifier: MIT
 * braid.wrap: a coroutine whose yields are the iterator's, and whose waits are carried up to the task that drives it.
 */
#include <lauxlib.h>

#include "larg.h"
#include "lerror.h"
#include "lfailure.h"
#include "lopen.h"
#include "lsched.h"
#include "ltraceback.h"

/* In the coroutine's extra space: what has become of it. */
enum { IDLE, WAITS, FAILED };
static int *fate_of(lua_State *co) { return (int *)lua_getextraspace(co); }

/* The coroutine's bottom: an error unwinds inside it, where `<close>` variables may wait. */
static int body_k(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  *fate_of(L) = FAILED;
  return 1;
}

static int body(lua_State *L) {
  lua_pushcfunction(L, failure_handler);
  lua_insert(L, 1);
  return body_k(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, body_k), 0);
}

static int drive_k(lua_State *L, int status, lua_KContext context);

static int drive(lua_State *L, struct sched *sched, lua_State *co, int arguments) {
  struct task *task = sched->current;
  lua_State *before = sched->running;
  bool script = task == &sched->tree.script;
  /* Where the task could not be suspended from here, nothing inside may wait either. */
  sched->running = L == before && (script || lua_isyieldable(L)) ? co : NULL;
  hook_share(&sched->hooks, L, co);
  lua_State *computing = sched_compute(sched, co);
  int results, status = lua_resume(co, L, arguments, &results);
  hook_share(&sched->hooks, co, L);
  sched->running = before;
  if (status > LUA_YIELD) lua_resetthread(co); /* an error that not even its bottom could take */
  sched_compute(sched, computing);
  if (status == LUA_YIELD && !script && (task->waiter.flags & TASK_PARKED)) {
    lua_pop(co, results);
    *fate_of(co) = WAITS;
    return lua_yieldk(L, 0, (lua_KContext)co, drive_k);
  }
  bool failed = *fate_of(co) == FAILED || status > LUA_YIELD;
  if (status > LUA_YIELD) results = 1;
  luaL_checkstack(L, results, "too many values");
  lua_xmove(co, L, results);
  if (!failed) return results;
  failure_place(L, co);
  return traceback_raise_on(L);
}

static int drive_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  lua_State *co = (lua_State *)context;
  *fate_of(co) = IDLE;
  return drive(L, sched_of(L), co, 0);
}

/* The iterator: upvalue 2 is the coroutine. */
static int next_value(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int arguments = lua_gettop(L);
  lua_Debug ar;
  if (*fate_of(co) == WAITS) return lerror_misuse(L, "this iterator waits already: another task has called it");
  if (co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar)))
    return lerror_misuse(L, "this iterator runs already: it cannot call itself");
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) return lerror_misuse(L, "this iterator has ended");
  if (!lua_checkstack(co, arguments)) return lerror_memory(L);
  lua_xmove(L, co, arguments);
  return drive(L, sched_of(L), co, lua_status(co) == LUA_OK ? arguments + 1 : arguments);
}

/* wrap(fn) -> iterator, like coroutine.wrap; what runs inside may wait. */
static int lua_wrap(lua_State *L) {
  larg_function(L, 1, "fn");
  lua_settop(L, 1);
  lua_pushlightuserdata(L, sched_of(L));
  lua_State *co = lua_newthread(L);
  *fate_of(co) = IDLE;
  lua_pushcfunction(co, body);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, next_value, 2);
  return 1;
}

static const luaL_Reg functions[] = {{"wrap", lua_wrap}, {NULL, NULL}};

void lwrap_open(lua_State *L) {
  sched_open(L)->wrap_body = body;
  sched_register(L, functions);
}
