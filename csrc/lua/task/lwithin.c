/* SPDX-License-Identifier: MIT
 * Calls of a function inside a scope: the C part of braid.scope, timeout, move_on_after and shield. Where all goes well
 * in a task, no Lua code of braid runs. Everything else is decided by the hook "scope_end" (lua/braid/tasks/scope.lua).
 */
#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/ltraceback.h"
#include "lua/base/lopen.h"
#include "lua/task/lfailure.h"
#include "lua/task/lscope.h"

/* Stack of the calls: the scope, its seconds, the message handler; then the function with its arguments, or what has
 * come of it. */
enum { SCOPE = 1, SECONDS, HANDLER, RESULTS };

/* How it ends; the hook knows the same numbers. */
enum how { NURSERY = 1, LIMIT, MOVE_ON, SHIELD };

static int results(lua_State *L) { return lua_gettop(L) - RESULTS + 1; }

static int results_k(lua_State *L, int status, lua_KContext how) {
  (void)how;
  sched_entered(sched_of(L), status);
  return results(L);
}

static int hook_k(lua_State *L, int status, lua_KContext how) {
  (void)status, (void)how;
  return results(L);
}

/* Calls the hook with how, the scope, its seconds, ok, and the results or the error and its place. */
static int end_by_hook(lua_State *L, bool ok, lua_KContext how) {
  enum { MORE = 5 };
  luaL_checkstack(L, MORE + 1, "too many results");
  lua_pushnil(L); /* from here on this frame catches nothing */
  lua_replace(L, HANDLER);
  if (!ok) failure_place(L, L);
  int count = results(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "braid.scope_end");
  lua_pushinteger(L, how);
  lua_pushvalue(L, SCOPE);
  lua_pushvalue(L, SECONDS);
  lua_pushboolean(L, ok);
  lua_rotate(L, RESULTS, MORE);
  lua_callk(L, count + MORE - 1, LUA_MULTRET, how, hook_k);
  return results(L);
}

/* Whether the scope can be left without any further decision. */
static bool is_plain(const struct sched *sched, const struct scope *scope, lua_KContext how) {
  enum { MARKED = SCOPE_CANCELLED | SCOPE_EXPIRED | SCOPE_ENDED | SCOPE_FAILED };
  const struct task *task = sched->current;
  if (task == &sched->tree.script || task->scope != scope || (scope->flags & MARKED)) return false;
  return how != NURSERY || !tree_canceller(&sched->tree, task);
}

/* The function has returned, and there are no children. */
static int leave(lua_State *L, struct sched *sched, struct scope *scope, lua_KContext how) {
  bool pass = how == NURSERY && sched_may_begin(L, sched) && sched_enter(L, sched); /* others must not wait for long */
  scope_leave(L, sched, scope);
  if (how == SHIELD) stop_rest(sched);
  if (how == MOVE_ON) {
    luaL_checkstack(L, 1, "too many results");
    lua_pushboolean(L, 1);
    lua_insert(L, RESULTS);
  }
  return pass ? sched_pass(L, sched, results_k, how) : results(L);
}

/* Waits for the children, of which daemons and generators are left to the hook. */
static int join_k(lua_State *L, int status, lua_KContext how) {
  (void)status;
  struct sched *sched = sched_of(L);
  struct scope *scope = lua_touserdata(L, SCOPE);
  sched_end(sched);
  if (!is_plain(sched, scope, how)) return end_by_hook(L, true, how);
  if (braid_list_empty(&scope->children)) return leave(L, sched, scope, how);
  if (scope->alive == 0) return end_by_hook(L, true, how);
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  braid_wait_node_join(&waiter->node, &scope->ended);
  return sched_park(L, sched, BRAID_NEVER, join_k, how);
}

static int end_k(lua_State *L, int status, lua_KContext how) {
  struct sched *sched = sched_of(L);
  struct scope *scope = lua_touserdata(L, SCOPE);
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (!ok || !is_plain(sched, scope, how)) return end_by_hook(L, ok, how);
  if (braid_list_empty(&scope->children)) return leave(L, sched, scope, how);
  sched_waiter(sched)->status = BRAID_OK;
  return join_k(L, LUA_OK, how);
}

/* Stack: the seconds, the function, its arguments. */
static int call(lua_State *L, unsigned flags, enum how how) {
  struct sched *sched = sched_of(L);
  int64_t deadline = larg_timeout(L, 1);
  larg_function(L, 2, "fn");
  sched_check(L, sched);
  bool cancelled = how != SHIELD && tree_canceller(&sched->tree, sched->current);
  if (cancelled) return sched_raise(L, sched, BRAID_CANCELLED);
  int arguments = lua_gettop(L) - 2;
  luaL_checkstack(L, 4, "too many arguments");
  scope_push(L, sched, flags, deadline);
  lua_insert(L, SCOPE);
  lua_pushcfunction(L, failure_handler);
  lua_insert(L, HANDLER);
  if (how == NURSERY) lua_pushvalue(L, SCOPE);
  return end_k(L, lua_pcallk(L, arguments + (how == NURSERY), LUA_MULTRET, HANDLER, how, end_k), how);
}

/* within_scope(seconds?, fn) -> what fn(scope) returned */
static int within_scope(lua_State *L) {
  lua_settop(L, 2);
  return call(L, SCOPE_NURSERY, NURSERY);
}

/* within_limit(seconds?, fn, ...) -> what fn returned. Raises kind "timeout". */
static int within_limit(lua_State *L) { return call(L, 0, LIMIT); }

/* within_time(seconds?, fn, ...) -> true and what fn returned; false if there was not enough time */
static int within_time(lua_State *L) { return call(L, 0, MOVE_ON); }

/* within_shield(nil, fn, ...) -> what fn returned */
static int within_shield(lua_State *L) { return call(L, SCOPE_SHIELD, SHIELD); }

static const luaL_Reg functions[] = {{"within_scope", within_scope},
                                     {"within_limit", within_limit},
                                     {"within_time", within_time},
                                     {"within_shield", within_shield},
                                     {NULL, NULL}};

void lwithin_open(lua_State *L) {
  sched_register(L, functions);
  for (const luaL_Reg *function = functions; function->name; function++) {
    lua_getfield(L, -1, function->name);
    traceback_add_catcher(L, HANDLER);
  }
}
