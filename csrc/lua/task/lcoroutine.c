/* SPDX-License-Identifier: MIT
 * Replacements for coroutine.resume, wrap and close, set in every state. They refuse the coroutines of tasks and
 * generators, which only the loop may resume, and say why. (Sealing, lseal.h, makes Lua's own functions refuse them,
 * too, with Lua's words.) They tell the scheduler which coroutine computes, so that it can be stopped. They keep the
 * place of an error. The state's own thread. */
#include <lauxlib.h>
#include <lualib.h>

#include "lua/sched/lbottom.h"
#include "lua/base/lerror.h"
#include "lua/task/lfailure.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/base/ltraceback.h"

/* Closes a coroutine that has failed. Pushes the place of the error. */
static void close_failed(lua_State *L, struct sched *sched, lua_State *co) {
  if (!lua_checkstack(co, LUA_MINSTACK) || failure_is_echo(co, sched, -1))
    lua_pushnil(L);
  else
    traceback_take(L, co, 0);
  if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) lua_resetthread(co);
}

/* Resumes `co` with the arguments on the top of L, and tells the scheduler that it computes. If it fails, pushes its
 * error. With `close` it also closes the coroutine, and the place of the error is below the error. */
static int resume_known(lua_State *L, lua_State *co, int arguments, int *results, bool close) {
  struct sched *sched = sched_of(L);
  if (!lua_checkstack(co, arguments)) luaL_error(L, "too many arguments to resume");
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
    lua_pushnil(L);
    lua_pushliteral(L, "cannot resume dead coroutine");
    return -1;
  }
  stop_hand_on(sched, L, co);
  lua_xmove(L, co, arguments);
  lua_State *before = sched_compute(sched, co);
  int status = lua_resume(co, L, arguments, results);
  hook_share(&sched->hooks, co, L);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (failed && close) close_failed(L, sched, co);
  sched_compute(sched, before);
  if (!failed) {
    luaL_checkstack(L, *results + 1, "too many results to resume");
    lua_xmove(co, L, *results);
    return status;
  }
  lua_xmove(co, L, 1);
  return -1;
}

/* Whether only the loop may resume it. */
static bool is_ours(lua_State *L, lua_State *co) {
  if (co == L) return false;
  const struct sched *sched = sched_of(L);
  lua_CFunction bottom = bottom_function(co);
  return bottom && (bottom == sched->task_body || bottom == sched->wrap_body);
}

static const char REFUSAL[] =
    "this coroutine is a task's, or a braid.wrap generator's: only braid's loop may go on with it";

/* coroutine.resume(co, ...) -> true and its values, or false and the error */
static int co_resume(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  if (is_ours(L, co)) {
    lua_pushboolean(L, 0);
    lerror_push(L, "misuse", "%s", REFUSAL);
    return 2;
  }
  int results, status = resume_known(L, co, lua_gettop(L) - 1, &results, false);
  if (status < 0) results = 1;
  lua_pushboolean(L, status >= 0);
  lua_insert(L, -results - 1);
  return results + 1;
}

/* Upvalue 2 is the coroutine. */
static int wrapped(lua_State *L) {
  int results, status = resume_known(L, lua_tothread(L, lua_upvalueindex(2)), lua_gettop(L), &results, true);
  if (status >= 0) return results;
  if (lua_type(L, -1) == LUA_TSTRING) { /* as Lua's own wrap does: add the caller's position */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  lua_insert(L, -2);
  return traceback_raise_on(L);
}

/* coroutine.wrap(fn) -> function */
static int co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushlightuserdata(L, sched_of(L));
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* coroutine.close(co) -> true, or false and the error */
static int co_close(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  if (is_ours(L, co)) return lerror_misuse(L, "%s", REFUSAL);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2)); /* Lua's own close */
  lua_insert(L, 1);
  stop_hand_on(sched, L, co);
  lua_State *before = sched_compute(sched, co);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  hook_share(&sched->hooks, co, L);
  sched_compute(sched, before);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

void lcoroutine_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"resume", co_resume}, {"wrap", co_wrap}, {NULL, NULL}};
  if (lua_getglobal(L, LUA_COLIBNAME) == LUA_TTABLE) { /* a host may have left the library out */
    sched_register(L, functions);
    lua_pushlightuserdata(L, sched_open(L));
    lua_getfield(L, -2, "close");
    lua_pushcclosure(L, co_close, 2);
    lua_setfield(L, -2, "close");
  }
  lua_pop(L, 1);
}
