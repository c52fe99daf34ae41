/* SPDX-License-Identifier: MIT
 * A cancel from outside lasts for the rest of a task's life. Its raises are counted in a side table, which most tasks
 * never use. A cancel of a scope that the task itself entered ends with that scope, and is counted in the scope. */
#include "lua/sched/linsist.h"

#include <lauxlib.h>

#include "core/base/clock.h"
#include "lua/base/lposition.h"
#include "lua/base/lregistry.h"
#include "lua/sched/lsched.h"

enum {
  LAST = 3,                   /* the highest degree of urgency: every instruction raises */
  STAGE = 1000,               /* raises from one degree to the next */
  SLOW = 30,                  /* raises after which each second adds a degree, too */
  LOOK = 1000,                /* instructions between two calls of the hook */
  CLEAN_UP = 10 * 1000 * 1000 /* ns that the code has at the first degree before the hook stops it */
};

static const char COUNTS; /* registry key, by address: task -> its insistence */

static struct insistence *in_own_scope(struct task *task, const void *canceller) {
  for (struct scope *scope = task->scope; scope != task->nursery; scope = scope->outer)
    if (scope == canceller) return &scope->insistence;
  return NULL;
}

static struct insistence *in_table(lua_State *L, struct task *task, bool make) {
  lregistry_table(L, &COUNTS, NULL);
  lua_rawgetp(L, -1, task);
  struct insistence *found = lua_touserdata(L, -1);
  if (!found && make) {
    found = lua_newuserdatauv(L, sizeof *found, 0);
    *found = (struct insistence){.raises = 1};
    lua_rawsetp(L, -3, task);
  }
  lua_pop(L, 2);
  return found;
}

struct insistence *insist_find(lua_State *L, struct task *task, const void *canceller) {
  struct insistence *own = in_own_scope(task, canceller);
  if (own) return own->raises > 1 ? own : NULL;
  return task->waiter.flags & TASK_RAISED ? in_table(L, task, false) : NULL;
}

struct insistence *insist_count(lua_State *L, struct task *task, const void *canceller) {
  struct insistence *found = in_own_scope(task, canceller);
  bool first = found ? found->raises == 0 : !(task->waiter.flags & TASK_RAISED);
  if (!found && first) {
    task->waiter.flags |= TASK_RAISED;
    return NULL;
  }
  if (!found) found = in_table(L, task, true);
  found->raises++;
  if (first) return NULL;
  if (found->since == 0) found->since = braid_clock_now();
  return found;
}

bool insist_told(struct task *task, const void *canceller) {
  const struct insistence *own = in_own_scope(task, canceller);
  return own ? own->raises > 0 : task->waiter.flags & TASK_RAISED;
}

void insist_tell(struct task *task, const void *canceller) {
  struct insistence *own = in_own_scope(task, canceller);
  if (!own)
    task->waiter.flags |= TASK_RAISED;
  else if (own->raises == 0)
    own->raises = 1;
}

static unsigned degree(const struct insistence *insistence) {
  unsigned degree = insistence->raises / STAGE;
  if (insistence->raises > SLOW) degree += (unsigned)((braid_clock_now() - insistence->since) / BRAID_SECOND);
  return degree;
}

int insist_look(struct insistence *insistence) {
  unsigned at = degree(insistence);
  if (at == 0) return 0;
  if (insistence->last == 0) insistence->last = braid_clock_now();
  return at < LAST ? LOOK : 1;
}

bool insist_is_due(const struct insistence *insistence) {
  unsigned at = degree(insistence);
  return at >= LAST || braid_clock_now() - insistence->last >= (at == 1 ? CLEAN_UP : CLEAN_UP / 10);
}

bool insist_stopped(struct insistence *insistence) {
  bool first = !insistence->stopped;
  insistence->stopped = true;
  insistence->raises += STAGE;
  insistence->last = braid_clock_now();
  return first;
}

/* Arguments: the place, and the task or nil. Calls the Lua layer. */
static int tell_insistence(lua_State *L) {
  if (!lregistry_hook(L, "insists")) return 0;
  lua_insert(L, 1);
  lua_call(L, 2, 0);
  return 0;
}

static void report(lua_State *L, struct sched *sched) {
  struct sched_frame frame = sched_callbacks(sched);
  lua_pushcfunction(L, tell_insistence);
  position_where(L, 0);
  if (frame.current->co)
    sched_push_task(L, frame.current);
  else
    lua_pushnil(L);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  sched_return(sched, frame);
}

void insist_stop(lua_State *L, struct sched *sched, lua_Debug *ar) {
  const void *canceller = tree_canceller(&sched->tree, sched->current);
  struct insistence *insistence = canceller ? insist_find(L, sched->current, canceller) : NULL;
  int look = insistence ? insist_look(insistence) : 0;
  if (!look) return;
  lua_getinfo(L, "S", ar);
  bool ours = position_is_ours(ar); /* braid's own code soon comes to its end */
  if (ours || !insist_is_due(insistence)) {
    stop_look(sched, L, ours ? 1 : look);
    return;
  }
  bool first = insist_stopped(insistence);
  stop_look(sched, L, insist_look(insistence));
  if (first) report(L, sched);
  sched_raise_now(L, sched, BRAID_CANCELLED);
}

void insist_forget(lua_State *L, struct task *task) {
  if (!(task->waiter.flags & TASK_RAISED)) return;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &COUNTS) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, task);
  }
  lua_pop(L, 1);
}
