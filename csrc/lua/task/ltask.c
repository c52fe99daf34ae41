/* SPDX-License-Identifier: MIT
 * The life of a task. Its coroutine comes from a store of idle coroutines, and goes back there: only the first use pays
 * for making it. A table of the registry anchors the coroutines, and the task is an argument of the body. So a task
 * lives until its coroutine has ended, and then as long as somebody holds it. Nothing is kept in Lua's extra space,
 * which belongs to the host.
 *
 * task_body calls the user's function with lua_pcallk. So the message handler sees an error before the stack unwinds,
 * `<close>` variables may wait while it unwinds, and the coroutine survives the error. */
#include "lua/task/ltask.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "lua/base/larg.h"
#include "lua/sched/lbottom.h"
#include "lua/base/lerror.h"
#include "lua/task/lfailure.h"
#include "lua/sched/lheld.h"
#include "lua/sched/linsist.h"
#include "lua/sched/llocals.h"
#include "lua/sched/lreason.h"
#include "lua/base/lregistry.h"
#include "lua/sched/lseal.h"
#include "lua/sched/lsentinel.h"
#include "lua/task/lstep.h"
#include "lua/base/lposition.h"
#include "lua/sched/ltrace.h"
#include "lua/base/ltraceback.h"

enum { MOST_IDLE = 1024 };

struct task_store { /* a userdata of the registry */
  int count;
  lua_State *idle[MOST_IDLE];
};

/* Registry keys, by address. */
static const char STORE, ANCHORS, WATCHERS;

/* Stack indexes in the body's frame: the coroutine's slot in the table of anchors, which stays there; the task; the
 * message handler; the function, followed by its arguments. */
enum { BODY_SLOT = BOTTOM_SLOT, BODY_TASK = BOTTOM_TASK, BODY_HANDLER, BODY_FUNCTION };

/* ---- coroutines ----------------------------------------------------------------------------------------------- */

static int task_body(lua_State *L);

static lua_State *new_coroutine(lua_State *L, const struct seal *seal) {
  lua_State *co = lua_newthread(L);
  int results, slot = lregistry_keep(L, &ANCHORS);
  lua_pushcfunction(co, task_body);
  lua_pushinteger(co, slot);
  if (lua_resume(co, L, 1, &results) != LUA_YIELD) {
    lregistry_drop(L, &ANCHORS, slot);
    lerror_memory(L);
  }
  seal_close(seal, co);
  return co;
}

static lua_State *take_coroutine(lua_State *L, struct sched *sched) {
  struct task_store *store = sched->store;
  lua_State *co = store->count > 0 ? store->idle[--store->count] : new_coroutine(L, &sched->seal);
  hook_inherit(&sched->hooks, L, co);
  return co;
}

/* A coroutine stays inside its body after a task's end. So Lua never takes it for a new or dead one, and code that kept
 * a reference to it can neither start nor close it. */
static void give_coroutine(lua_State *L, struct sched *sched, lua_State *co, bool sound) {
  struct task_store *store = sched->store;
  lua_settop(co, BODY_SLOT);
  seal_close(&sched->seal, co);
  if (hook_end(&sched->hooks, co) && sound && store->count < MOST_IDLE) {
    store->idle[store->count++] = co;
    return;
  }
  lregistry_drop(L, &ANCHORS, (int)lua_tointeger(co, BODY_SLOT));
}

/* ---- the body ------------------------------------------------------------------------------------------------- */

/* Replaces the `count` results on the top by a list with `n`. */
static void pack_results(lua_State *L, int count) {
  int list = lua_gettop(L) - count + 1;
  lua_createtable(L, count, 1);
  lua_insert(L, list);
  for (int i = count; i >= 1; i--) lua_rawseti(L, list, i);
  lua_pushinteger(L, count);
  lua_setfield(L, list, "n");
}

static int next_task(lua_State *L, int status, lua_KContext context);

int task_end_scopes(lua_State *L, int status, int handler, lua_KContext context, lua_KFunction k) {
  bool ok = status == LUA_OK || status == LUA_YIELD;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.forgotten") != LUA_TFUNCTION) {
    lua_pop(L, 1);
    return k(L, status, context);
  }
  lua_pushboolean(L, ok);
  if (ok) {
    lua_pushnil(L);
    lua_pushnil(L);
  } else {
    lua_pushvalue(L, -3);
    failure_place(L, L);
  }
  return k(L, lua_pcallk(L, 3, 0, handler, context, k), context);
}

/* Stores the results or the failure in the task, and yields: the task has ended. */
static int end_k(lua_State *L, int status, lua_KContext context) {
  struct task *task = (struct task *)context;
  if (status != LUA_OK && status != LUA_YIELD) {
    bool echo = failure_is_echo(L, sched_open(L), -1);
    failure_place(L, L);
    failure_make(L);
    task->waiter.state = echo ? FUTURE_CANCELLED : FUTURE_FAILED;
  } else {
    int count = lua_gettop(L) - BODY_HANDLER;
    if (count == 1)
      task->waiter.flags |= TASK_SINGLE;
    else
      pack_results(L, count);
    task->waiter.state = FUTURE_DONE;
  }
  lua_setiuservalue(L, BODY_TASK, 1);
  return lua_yieldk(L, 0, 0, next_task);
}

static int body_k(lua_State *L, int status, lua_KContext context) {
  const struct task *task = (const struct task *)context;
  if (task->scope == task->nursery) return end_k(L, status, context);
  return task_end_scopes(L, status, BODY_HANDLER, context, end_k);
}

/* Runs one task after the other. Each is put on the stack before the coroutine is resumed. */
static int next_task(lua_State *L, int status, lua_KContext context) {
  (void)status;
  context = (lua_KContext)lua_touserdata(L, BODY_TASK);
  status = lua_pcallk(L, lua_gettop(L) - BODY_FUNCTION, LUA_MULTRET, BODY_HANDLER, context, body_k);
  return body_k(L, status, context);
}

static int task_body(lua_State *L) { return lua_yieldk(L, 0, 0, next_task); }

/* Code that a cancel of the scope is about to end learns of it here, too: its error is an echo, not one more failure.
 */
static void spawn_checks(lua_State *L, struct sched *sched, struct scope *scope) {
  sched_check_fork(L);
  if (scope->flags & SCOPE_ENDED) lerror_misuse(L, "this scope has ended: nothing can be spawned into it");
  if ((scope->flags & SCOPE_CANCELLED) && tree_canceller(&sched->tree, sched->current) == scope)
    sched_raise_now(L, sched, BRAID_CANCELLED);
  if (scope->flags & SCOPE_CANCELLED)
    lerror_misuse(L, "this scope has failed or was cancelled: nothing can be spawned into it");
  if (sched->closing) lerror_misuse(L, "the script has ended: nothing can be spawned any more");
}

struct task *task_spawn(lua_State *L, struct sched *sched, struct scope *scope, int count, unsigned flags) {
  if (!(flags & TASK_CLOSER)) spawn_checks(L, sched, scope);
  struct task *task = lua_newuserdatauv(L, sizeof *task, 1);
  braid_waiter_init(&task->waiter, &sched->loop, BRAID_WAITER_TASK);
  task->waiter.flags = flags;
  task->waiter.state = FUTURE_PENDING;
  task->joiners = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, sched->task_metatable);
  lua_setmetatable(L, -2);
  locals_inherit(L, sched);
  lua_State *co = take_coroutine(L, sched);
  if (count > LUA_MINSTACK / 2 && !lua_checkstack(co, count + LUA_MINSTACK / 2)) {
    give_coroutine(L, sched, co, true);
    lerror_memory(L);
  }
  lua_xmove(L, co, 1);
  lua_pushcfunction(co, failure_handler);
  lua_xmove(L, co, count + 1);
  lua_pushvalue(co, BODY_TASK);
  lua_xmove(co, L, 1);
  task->co = co;
  if (braid_trace_is_on()) trace_name_by(co, lua_gettop(co) - count, task);
  tree_adopt(scope, task);
  return task;
}

/* ---- the end -------------------------------------------------------------------------------------------------- */

bool future_join(struct future *future, struct braid_wait_node *node) {
  if (!future->joiners) {
    future->joiners = malloc(sizeof *future->joiners);
    if (!future->joiners) return false;
    braid_wait_queue_init(future->joiners, NULL);
  }
  braid_wait_node_join(node, future->joiners);
  return true;
}

void future_forsake(struct future *future) {
  if (!future->joiners) return;
  braid_wait_queue_dissolve(future->joiners);
  free(future->joiners);
  future->joiners = NULL;
}

static void wake_joiners(struct future *future) {
  if (!future->joiners) return;
  struct braid_wake_list woken = {0};
  braid_wait_queue_claim_all(future->joiners, BRAID_OK, &woken);
  braid_loop_post_all(&woken);
  free(future->joiners);
  future->joiners = NULL;
}

/* Argument: the future. Calls its callbacks. The Lua layer's function reports those that raise. */
static int call_watchers(lua_State *L) {
  lregistry_table(L, &WATCHERS, NULL);
  lua_rawgetp(L, -1, lua_touserdata(L, 1));
  lua_pushnil(L);
  lua_rawsetp(L, -3, lua_touserdata(L, 1));
  lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_getfield(L, LUA_REGISTRYINDEX, "braid.callback");
    lua_rawgeti(L, 3, i);
    lua_pushvalue(L, 1);
    lua_call(L, 2, 0);
  }
  return 0;
}

/* Calls a C function with the value on the top of the stack, which stays there. Does not raise. */
static void call_protected(lua_State *L, struct sched *sched, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_pushvalue(L, -2);
  struct sched_frame frame = sched_callbacks(sched);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_writestringerror("braid: %s\n", lerror_text(L, -1));
    lua_pop(L, 2);
  }
  sched_return(sched, frame);
}

/* The same with the task, which is at the bottom of its coroutine's stack. */
static void with_task(struct sched *sched, lua_State *co, lua_CFunction function) {
  lua_pushvalue(co, BODY_TASK);
  lua_xmove(co, sched->L, 1);
  call_protected(sched->L, sched, function);
  lua_pop(sched->L, 1);
}

void future_settle(lua_State *L, struct sched *sched, struct future *future) {
  wake_joiners(future);
  if (future->waiter.flags & TASK_WATCHED) call_protected(L, sched, call_watchers);
}

/* Tells everybody whom the end of the task concerns. */
static void settle(struct sched *sched, struct task *task, bool sound) {
  lua_State *co = task->co;
  task->co = NULL;
  wake_joiners(&task->future);
  tree_release(&sched->tree, task);
  if (task->waiter.state == FUTURE_FAILED) {
    with_task(sched, co, failure_record);
    if (task->waiter.flags & TASK_LINKED) tree_cancel_scope(task->nursery);
  } else if (task->waiter.state == FUTURE_CANCELLED && (task->waiter.flags & TASK_LINKED) &&
             (task->nursery->flags & SCOPE_GATHER)) {
    tree_cancel_scope(task->nursery);
  }
  if (task->waiter.flags & TASK_CANCELLED) {
    lua_pushnil(sched->L); /* another task may later have the same address */
    reason_set(sched->L, task);
  }
  insist_forget(sched->L, task);
  if (task->waiter.flags & TASK_HOLDS) held_abandon(sched, task);
  if (task->waiter.flags & TASK_WATCHED) with_task(sched, co, call_watchers);
  give_coroutine(sched->L, sched, co, sound);
}

/* Argument: the coroutine. On its stack are the task, an error that its body could not take, and the error's place.
 * Makes the failure and stores it in the task. */
static int take_hard_failure(lua_State *L) {
  lua_State *co = lua_touserdata(L, 1);
  lua_xmove(co, L, 2);
  failure_make(L);
  lua_xmove(L, co, 1);
  lua_setiuservalue(co, -2, 1);
  return 0;
}

void task_finish(struct sched *sched, struct task *task, int status) {
  if (status != LUA_OK) {
    lua_State *L = sched->L;
    task->waiter.state = FUTURE_FAILED;
    lua_pushcfunction(L, take_hard_failure);
    lua_pushlightuserdata(L, task->co);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) { /* no memory: failure_record makes up for it */
      lua_pop(L, 1);
      lua_settop(task->co, BODY_TASK);
    }
  }
  settle(sched, task, status == LUA_OK);
}

/* ---- what Lua calls ------------------------------------------------------------------------------------------- */

static struct task *spawn(lua_State *L, struct sched *sched) {
  larg_function(L, 1, "fn");
  return task_spawn(L, sched, tree_nursery(sched->current), lua_gettop(L) - 1, 0);
}

/* spawn(fn, ...) -> task */
static int lua_spawn(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct task *task = spawn(L, sched);
  braid_wake_list_push(&sched->loop.ready, &task->waiter);
  return 1;
}

/* spawn_now(fn, ...) -> task, which has run up to its first wait */
static int lua_spawn_now(lua_State *L) {
  struct sched *sched = sched_of(L);
  task_step(sched, spawn(L, sched), L);
  return 1;
}

/* prepare(fn, ...) -> task of a pool, which belongs to no scope and is held until it is started or cancelled */
static int lua_prepare(lua_State *L) {
  struct sched *sched = sched_of(L);
  larg_function(L, 1, "fn");
  task_spawn(L, sched, &sched->tree.root, lua_gettop(L) - 1, TASK_APART | TASK_HELD);
  if (sched->current == &sched->tree.script) sentinel_renew(L, sched); /* the task may need what the script has now */
  return 1;
}

/* start(task): makes it ready */
static int lua_start(lua_State *L) {
  tree_start(&sched_of(L)->tree, larg_object(L, 1, TASK_METATABLE));
  return 0;
}

/* start_now(task): runs it up to its first wait */
static int lua_start_now(lua_State *L) {
  struct task *task = larg_object(L, 1, TASK_METATABLE);
  if (!(task->waiter.flags & TASK_HELD)) return 0;
  task->waiter.flags &= ~(uint32_t)TASK_HELD;
  task_step(sched_of(L), task, L);
  return 0;
}

static int lua_current(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct task *task = sched->current;
  if (task->co)
    sched_push_task(L, task);
  else
    lua_pushnil(L);
  return 1;
}

struct listing {
  lua_State *L;
  lua_Integer count;
};

static void list_task(struct task *task, void *context) {
  struct listing *listing = context;
  if (tree_is_guest(task)) return;
  sched_push_task(listing->L, task);
  lua_rawseti(listing->L, -2, ++listing->count);
}

/* tasks() -> the list of all tasks that have not ended */
static int lua_tasks(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct listing listing = {L, 0};
  lua_newtable(L);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, list_task, &listing);
  return 1;
}

/* checkpoint(): lets other tasks run. Suspends. */
static int lua_checkpoint(lua_State *L) {
  return sched_pass(L, sched_of(L), NULL, 0); /* the next wait raises a cancel that comes meanwhile */
}

static int sleep_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_NO_MEMORY ? lerror_memory(L) : 0;
}

/* sleep(seconds). Suspends. */
static int lua_sleep(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_Number seconds = lua_tonumber(L, 1);
  if (lua_type(L, 1) != LUA_TNUMBER || !(seconds >= 0)) larg_error(L, 1, "seconds", "a number, not negative,");
  if (seconds == 0) return lua_checkpoint(L);
  sched_begin(L, sched);
  return sched_park(L, sched, braid_time_after(seconds), sleep_k, 0);
}

static int lua_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)braid_time_now() / (lua_Number)BRAID_SECOND);
  return 1;
}

void future_watch(lua_State *L, struct future *future) {
  lregistry_table(L, &WATCHERS, NULL);
  if (lua_rawgetp(L, -1, future) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, future);
  }
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 3);
  future->waiter.flags |= TASK_WATCHED;
}

/* rethrow(error, place): raises the error; a report shows the place where it first came from, if that is known. */
static int lua_rethrow(lua_State *L) {
  lua_settop(L, 2);
  return traceback_raise(L);
}

/* trace(error) -> for message handlers: where it came from; nil of the echo of a cancel */
static int lua_trace(lua_State *L) {
  if (failure_is_echo(L, sched_of(L), 1))
    lua_pushnil(L);
  else
    traceback_take(L, L, 2);
  return 1;
}

/* root_failures() -> the failed tasks that belong to no scope but the script's, or nil */
static int root_failures(lua_State *L) {
  failure_take(L, &sched_of(L)->tree.root);
  return 1;
}

static const luaL_Reg functions[] = {
    {"prepare", lua_prepare},
    {"start", lua_start},
    {"start_now", lua_start_now},
    {"spawn", lua_spawn},
    {"spawn_now", lua_spawn_now},
    {"current", lua_current},
    {"tasks", lua_tasks},
    {"sleep", lua_sleep},
    {"checkpoint", lua_checkpoint},
    {"now", lua_now},
    {"rethrow", lua_rethrow},
    {"trace", lua_trace},
    {"root_failures", root_failures},
    {NULL, NULL},
};

void ltask_open(lua_State *L) {
  struct sched *sched = sched_open(L);
  sched->task_body = task_body;
  sched->store = lua_newuserdatauv(L, sizeof(struct task_store), 0);
  sched->store->count = 0;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &STORE);
  luaL_newmetatable(L, TASK_METATABLE);
  sched->task_class = lua_topointer(L, -1);
  sched->task_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
  sched_register(L, functions);
}
