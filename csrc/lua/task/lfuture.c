/* SPDX-License-Identifier: MIT
 * The methods of futures. A task is a future. */
#include <lauxlib.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/task/lfailure.h"
#include "lua/task/ljob.h"
#include "lua/base/lopen.h"
#include "lua/sched/lreason.h"
#include "lua/task/ltask.h"
#include "lua/sched/ltaskname.h"
#include "lua/base/ltraceback.h"

static struct future *check(lua_State *L) {
  struct future *future = future_test(L, sched_of(L), 1);
  if (!future) larg_self(L, TASK_METATABLE);
  return future;
}

/* For a job the worker knows first that it runs; and a job that was cancelled in the queue has ended before it is home.
 */
static enum future_state state_of(const struct future *future) {
  return future->waiter.kind == BRAID_WAITER_JOB ? job_state(future) : future_state(future);
}

static bool has_ended(const struct future *future) {
  return future->waiter.kind == BRAID_WAITER_JOB ? job_has_ended(future) : future_state(future) >= FUTURE_DONE;
}

/* Pushes the failure's error, or its traceback. */
static void push_failure(lua_State *L, const struct future *future, int part) {
  lua_getiuservalue(L, 1, 1);
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, part);
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  if (part == FAILURE_ERROR && future_state(future) == FUTURE_FAILED)
    lua_pushliteral(L, LERROR_NO_MEMORY); /* there was no memory to keep the error */
  else
    lua_pushnil(L);
}

static void push_error(lua_State *L, struct future *future) {
  push_failure(L, future, FAILURE_ERROR);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  if (future->waiter.kind == BRAID_WAITER_TASK && future->waiter.state == FUTURE_PENDING)
    sched_push_unbegun(L, sched_of(L), braid_container(future, struct task, future));
  else
    lerror_push(L, "cancelled", future->waiter.kind == BRAID_WAITER_JOB ? "cancelled" : "cancelled before it began");
}

static int push_results(lua_State *L, struct future *future) {
  if (future_state(future) != FUTURE_DONE) {
    failure_ask(L, 1);
    if (future_state(future) == FUTURE_FAILED)
      push_failure(L, future, FAILURE_ERROR);
    else
      push_error(L, future);
    push_failure(L, future, FAILURE_PLACE);
    return traceback_raise(L);
  }
  lua_getiuservalue(L, 1, 1);
  if (future->waiter.flags & TASK_SINGLE) return 1;
  int list = lua_gettop(L);
  lua_getfield(L, list, "n");
  int count = (int)lua_tointeger(L, -1);
  luaL_checkstack(L, count, "too many results");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, list, i);
  return count;
}

/* ---- waiting for it ------------------------------------------------------------------------------------------- */

enum { RAISE, TELL }; /* what a wait does at its end */

static int answer(lua_State *L, struct future *future, bool ended, lua_KContext how) {
  if (how == TELL) {
    lua_pushboolean(L, ended);
    return 1;
  }
  if (!ended) return lerror_raise(L, "timeout", "the result did not come in time");
  return push_results(L, future);
}

static int wait_k(lua_State *L, int status, lua_KContext how) {
  (void)status;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return answer(L, check(L), end == BRAID_OK, how);
}

static int try(lua_State *L, int entered, lua_KContext how) {
  struct sched *sched = sched_of(L);
  struct future *future = check(L);
  int64_t deadline = larg_timeout(L, 2);
  sched_entered(sched, entered);
  bool ended = has_ended(future);
  if (ended || deadline == LARG_ONCE) return answer(L, future, ended, how);
  if (future == &sched->current->future) return lerror_misuse(L, "a task cannot wait for itself");
  struct braid_waiter *waiter = sched_begin(L, sched);
  if (!future_join(future, &waiter->node)) {
    sched_forget(sched);
    return lerror_memory(L);
  }
  return sched_park(L, sched, deadline, wait_k, how);
}

/* future:result(timeout?) -> results. Raises the task's own error. Suspends. Most often the task has ended with one
 * result: then nothing is looked at twice. */
static int future_result(lua_State *L) {
  struct sched *sched = sched_of(L);
  const struct future *future = future_test(L, sched, 1);
  bool plain = future && future->waiter.state == FUTURE_DONE && (future->waiter.flags & TASK_SINGLE);
  if (!plain || lua_gettop(L) > 1) return sched_attempt(L, sched, try, RAISE);
  if (sched_enter(L, sched)) return sched_pass(L, sched, try, RAISE);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* future:wait(timeout?) -> whether it has ended. Suspends. */
static int future_wait(lua_State *L) { return sched_attempt(L, sched_of(L), try, TELL); }

/* ---- looking at it -------------------------------------------------------------------------------------------- */

static int future_done(lua_State *L) {
  lua_pushboolean(L, has_ended(check(L)));
  return 1;
}

static int future_cancelled(lua_State *L) {
  lua_pushboolean(L, state_of(check(L)) == FUTURE_CANCELLED);
  return 1;
}

static int future_running(lua_State *L) {
  lua_pushboolean(L, state_of(check(L)) == FUTURE_RUNNING);
  return 1;
}

/* The state for braid's own use: it does not count as asking for the failure. */
static int future_peek_state(lua_State *L) {
  static const char *const names[] = {"pending", "running", "done", "failed", "cancelled"};
  lua_pushstring(L, names[state_of(check(L))]);
  return 1;
}

static int future_tell_state(lua_State *L) {
  if (state_of(check(L)) == FUTURE_FAILED) failure_ask(L, 1);
  return future_peek_state(L);
}

/* future:error() -> the error; nil if there is none yet, and after success. */
static int future_error(lua_State *L) {
  struct future *future = check(L);
  failure_ask(L, 1);
  if (future_state(future) == FUTURE_FAILED)
    push_failure(L, future, FAILURE_ERROR);
  else if (state_of(future) == FUTURE_CANCELLED)
    push_error(L, future);
  else
    lua_pushnil(L);
  return 1;
}

static int future_traceback(lua_State *L) {
  const struct future *future = check(L);
  if (future_state(future) < FUTURE_FAILED)
    lua_pushnil(L);
  else
    push_failure(L, future, FAILURE_PLACE);
  return 1;
}

static int future_linked(lua_State *L) {
  lua_pushboolean(L, check(L)->waiter.flags & TASK_LINKED);
  return 1;
}

/* ---- changing it ---------------------------------------------------------------------------------------------- */

/* The reason is at 2. A worker is not told, so the error that a cancelled job will have is made here. */
static bool cancel_job(lua_State *L, struct future *future) {
  if (!job_cancel(future)) return false;
  if (lua_isnil(L, 2)) return true;
  lua_pushvalue(L, 2);
  reason_make_error(L, "cancelled");
  lua_pushnil(L);
  failure_make(L);
  lua_setiuservalue(L, 1, 1); /* replaced if the job ends in another way */
  return true;
}

/* future:cancel(reason?) -> true if the future had not ended. */
static int future_cancel(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct future *future = check(L);
  lua_settop(L, 2);
  bool alive = !has_ended(future);
  if (alive && future->waiter.kind == BRAID_WAITER_JOB) {
    alive = cancel_job(L, future);
  } else if (alive) {
    struct task *task = braid_container(future, struct task, future);
    reason_set(L, task);
    tree_cancel_task(&sched->tree, task, 0);
  }
  lua_pushboolean(L, alive);
  return 1;
}

/* future:on_done(fn) -> future. If the future has ended, calls fn at once. */
static int future_on_done(lua_State *L) {
  struct future *future = check(L);
  larg_function(L, 2, "fn");
  lua_settop(L, 2);
  if (future->waiter.state >= FUTURE_DONE) {
    lua_getfield(L, LUA_REGISTRYINDEX, "braid.callback");
    lua_insert(L, 2);
    lua_pushvalue(L, 1);
    struct sched_frame frame = sched_callbacks(sched_of(L)); /* as for later callbacks: it may not wait */
    int status = lua_pcall(L, 2, 0, 0);
    sched_return(sched_of(L), frame);
    if (status != LUA_OK) return lua_error(L);
  } else {
    future_watch(L, future);
  }
  lua_settop(L, 1);
  return 1;
}

/* task:daemon() -> task. Its scope does not wait for the task, but cancels it at its end. */
static int task_daemon(lua_State *L) {
  struct future *future = check(L);
  if (future->waiter.kind == BRAID_WAITER_JOB) return lerror_misuse(L, "a job belongs to its pool, not to a scope");
  tree_set_daemon(braid_container(future, struct task, future));
  lua_settop(L, 1);
  return 1;
}

static bool is_field(lua_State *L, const char *name) {
  return lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), name) == 0;
}

/* The __index of tasks with a name or an id: a method, or the field `name` or `id`. Upvalue 2 is the table of methods.
 */
static int named_index(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  if (is_field(L, "name"))
    taskname_push(L, 1);
  else if (is_field(L, "id"))
    taskname_push_id(L, 1);
  else
    return 0;
  return 1;
}

static const char NAMED; /* registry key, by address: the metatable of tasks with a name */

/* Pushes it. For tasks without a name __index is a table, so that Lua finds a method without a call. */
static void push_named_class(lua_State *L, struct sched *sched) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &NAMED) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, sched->task_metatable);
  for (lua_pushnil(L); lua_next(L, -2);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pushlightuserdata(L, sched);
  lua_insert(L, -2);
  lua_pushcclosure(L, named_index, 2);
  lua_setfield(L, -2, "__index");
  sched->named_task_class = lua_topointer(L, -1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &NAMED);
}

static int task_newindex(lua_State *L) {
  check(L);
  bool id = is_field(L, "id"); /* of a job of a cluster */
  if (!id && !is_field(L, "name")) return lerror_misuse(L, "a task has no field '%s' to set", lerror_text(L, 2));
  if (lua_type(L, 3) != LUA_TSTRING)
    return lerror_misuse(L, "a task's %s is a string, and this is a %s", lua_tostring(L, 2), luaL_typename(L, 3));
  lua_settop(L, 3);
  push_named_class(L, sched_of(L));
  lua_setmetatable(L, 1);
  if (id)
    taskname_set_id(L, 1);
  else
    taskname_set(L, 1);
  return 0;
}

static int task_tostring(lua_State *L) {
  struct future *future = check(L);
  taskname_push(L, 1);
  if (lua_isnil(L, -1))
    lua_pushfstring(L, "braid.task: %p", (void *)future);
  else
    lua_pushfstring(L, "braid.task: %s", lua_tostring(L, -1));
  return 1;
}

static const luaL_Reg methods[] = {
    {"result", future_result},       {"wait", future_wait},
    {"done", future_done},           {"cancelled", future_cancelled},
    {"running", future_running},     {"state", future_tell_state},
    {"_state", future_peek_state},   {"error", future_error},
    {"traceback", future_traceback}, {"_linked", future_linked},
    {"cancel", future_cancel},       {"on_done", future_on_done},
    {"daemon", task_daemon},         {"__newindex", task_newindex},
    {"__tostring", task_tostring},   {NULL, NULL},
};

void lfuture_open(lua_State *L) {
  sched_class(L, TASK_METATABLE, methods);
  lua_setfield(L, -2, "Task");
}
