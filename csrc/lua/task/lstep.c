/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/task/lstep.h"

#include <lauxlib.h>

#include "lua/base/lerror.h"
#include "lua/base/lposition.h"
#include "lua/base/ltraceback.h"
#include "lua/sched/lbottom.h"
#include "lua/sched/lseal.h"
#include "lua/sched/ltrace.h"
#include "lua/task/ltask.h"

/* Closes a task's coroutine and leaves only its slot on the stack. */
static void empty(lua_State *L, lua_State *co) {
  bottom_push(L, co, BOTTOM_SLOT);
  lua_resetthread(co);
  lua_settop(co, 0);
  lua_xmove(L, co, 1);
}

/* The task's coroutine did not end normally. Either its handler could not take the error, or the code called
 * coroutine.yield, after which nothing would ever resume it. Leaves the task, the error and its place on its stack. */
static int end_badly(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_State *co = task->co;
  sched_push_task(L, task);
  if (lua_status(co) == LUA_YIELD) {
    position_place(L, co);
    lerror_push(L, "misuse",
                "coroutine.yield in a task, %s: use braid.checkpoint to let others run, or braid.wrap to make an "
                "iterator",
                lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_xmove(co, L, 1);
  }
  traceback_push(L, co, 0);
  lua_State *computing = sched_compute(sched_open(L), co);
  empty(L, co);
  sched_compute(sched_open(L), computing);
  lua_xmove(L, co, 3);
  return 0;
}

/* The same when memory is out. An error is on the top of the state's stack. */
static void end_without_memory(struct sched *sched, struct task *task) {
  lua_State *L = sched->L, *co = task->co;
  lua_pop(L, 1);
  sched_push_task(L, task);
  empty(L, co);
  lua_pushliteral(L, LERROR_NO_MEMORY);
  lua_pushnil(L);
  lua_xmove(L, co, 3);
}

/* Argument: the task. Sets its failure to the error of the cancel. */
static int keep_cancel(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_createtable(L, 1, 0);
  sched_push_unbegun(L, sched_open(L), task);
  lua_rawseti(L, 2, 1);
  lua_setiuservalue(L, 1, 1);
  return 0;
}

static void skip(struct sched *sched, struct task *task) {
  lua_State *L = sched->L;
  lua_pushcfunction(L, keep_cancel);
  lua_settop(task->co, BOTTOM_TASK);
  sched_push_task(L, task);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  task->waiter.state = FUTURE_CANCELLED;
  task_finish(sched, task, LUA_OK);
}

bool task_begin(struct sched *sched, struct task *task) {
  if (tree_canceller(&sched->tree, task) && !(task->waiter.flags & TASK_CLOSER)) {
    skip(sched, task);
    return false;
  }
  task->waiter.state = FUTURE_RUNNING;
  return true;
}

void task_end(struct sched *sched, struct task *task, int status) {
  if (status == LUA_YIELD) status = task->waiter.state >= FUTURE_DONE ? LUA_OK : LUA_ERRRUN;
  if (status != LUA_OK) {
    lua_pushcfunction(sched->L, end_badly);
    lua_pushlightuserdata(sched->L, task);
    if (lua_pcall(sched->L, 1, 0, 0) != LUA_OK) end_without_memory(sched, task);
  }
  task_finish(sched, task, status);
}
