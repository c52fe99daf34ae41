/* SPDX-License-Identifier: MIT
 * The end of a state: what it has begun is completed, or gets a moment to end. Runs in the finalizer of the
 * sentinel. */
#include <lauxlib.h>

#include "lua/base/lopen.h"
#include "lua/pool/lpool.h"
#include "lua/sched/lsentinel.h"
#include "lua/task/lwrap.h"
#include "lua/turn/lsimulation.h"
#include "lua/turn/lturn.h"

/* Counts tasks that could still go on. A task that called os.exit runs now, and is not counted. */
static void count_task(struct task *task, void *context) {
  if (task->waiter.state == FUTURE_PENDING || (task->waiter.flags & TASK_PARKED)) ++*(int *)context;
}

static int tasks_left(struct sched *sched) {
  int count = 0;
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, count_task, &count);
  return count;
}

/* The script has ended by itself: not with an error, and not in a call of os.exit (that call would be on the stack).
 * Then its jobs are completed first; the Lua layer waits for them as the script could have done. */
static void end_well(lua_State *L, struct sched *sched) {
  enum { ABOVE = 2 }; /* levels: this function and the finalizer that called it */
  lua_Debug ar;
  bool by_itself = L == sched->running && sched->current == &sched->tree.script && !lua_getstack(L, ABOVE, &ar);
  if (sched->leaving || sched->worker || !by_itself) return;
  sched->ending = true;
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.ending") != LUA_TFUNCTION || lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

/* Cancels what the script has left, and gives it a moment to clean up. Then the Lua layer reports errors that nobody
 * asked for. */
static int close_state(lua_State *L) {
  struct sched *sched = sched_open(L);
  if (!braid_loop_is_fork) end_well(L, sched);
  simulation_end(sched);
  sched->closing = true;
  if (braid_loop_is_fork) return 0; /* everything belongs to the parent */
  sched->grace = braid_clock_after(1.0);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_cancel_scope(scope), tree_walk(scope, stop_hurry, sched);
  wrap_close_all(L, &sched->abandoned);
  wrap_close_all(L, &sched->aside);
  lpool_stop_all(sched);
  int64_t end = sched->grace + BRAID_SECOND; /* jobs get more time, because their replies must arrive */
  int left;
  while (((left = tasks_left(sched)) > 0 && braid_clock_now() < sched->grace) ||
         (sched->jobs > 0 && !sched->worker && braid_clock_now() < end))
    turn_once(sched, sched->loop.ready.first ? 0 : left > 0 ? sched->grace : end);
  lpool_release(sched, end);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.closing") != LUA_TFUNCTION) return 0;
  lua_pushinteger(L, left);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  return 0;
}

void lend_open(lua_State *L) { sentinel_open(L, close_state); }
