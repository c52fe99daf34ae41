/* SPDX-License-Identifier: MIT
 * A state's end: what it has begun is seen through, or has a moment to end. Runs in the finalizer of the sentinel. */
#include <lauxlib.h>

#include "lua/base/lopen.h"
#include "lua/pool/lpool.h"
#include "lua/sched/lsentinel.h"
#include "lua/task/lwrap.h"
#include "lua/turn/lturn.h"

/* Not counted is who called os.exit: it runs, and will not go on. */
static void count_task(struct task *task, void *context) {
  if (task->waiter.state == FUTURE_PENDING || (task->waiter.flags & TASK_PARKED)) ++*(int *)context;
}

static int tasks_left(struct sched *sched) {
  int count = 0;
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, count_task, &count);
  return count;
}

/* The script has come to its end, not to an error, nor to os.exit, in whose frame this would be: what it has asked
 * pools for is done first. The Lua layer waits as the script would have. */
static void end_well(lua_State *L, struct sched *sched) {
  enum { ABOVE = 2 }; /* what stands above this function and the finalizer that has called it */
  lua_Debug ar;
  bool by_itself = L == sched->running && sched->current == &sched->tree.script && !lua_getstack(L, ABOVE, &ar);
  if (sched->leaving || sched->worker || !by_itself) return;
  sched->ending = true;
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.ending") != LUA_TFUNCTION || lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

/* What the script left unfinished is cancelled and has a moment to clean up. Then the Lua layer reports what nobody
 * has asked for. */
static int close_state(lua_State *L) {
  struct sched *sched = sched_open(L);
  if (!braid_loop_is_fork) end_well(L, sched);
  sched->closing = true;
  if (braid_loop_is_fork) return 0; /* all that is left is the parent's */
  sched->grace = braid_clock_after(1.0);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_cancel_scope(scope), tree_walk(scope, stop_hurry, sched);
  wrap_close_all(L, &sched->abandoned);
  wrap_close_all(L, &sched->aside);
  lpool_stop_all(sched);
  int64_t end = sched->grace + BRAID_SECOND; /* jobs have longer: their replies have a way to go */
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
