/* SPDX-License-Identifier: MIT
 * Nothing changes while the error is written: all waiters belong to the state's own thread, and no other thread could
 * wake one. */
#include "lua/sched/ldeadlock.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/sync/primitives.h"
#include "lua/base/lerror.h"
#include "lua/base/lposition.h"
#include "lua/sched/ltaskname.h"

enum { MOST_LINES = 100 };

/* ---- is there one? -------------------------------------------------------------------------------------------- */

static void look_for_shared(struct task *task, void *context) {
  const struct braid_wait_queue *queue = atomic_load_explicit(&task->waiter.node.queue, memory_order_relaxed);
  bool on_its_way = (task->waiter.flags & TASK_PARKED) && !braid_waiter_waiting(&task->waiter);
  if (on_its_way || (queue && queue->guard && queue->guard->shared)) *(bool *)context = true;
}

bool deadlock_may_end_from_outside(struct sched *sched) {
  if (sched->jobs || sched->loop.watch_count > 0) return true;
  if (sched->worker) return true; /* a worker's jobs can always be stopped from outside */
  if (atomic_load(&sched->loop.mail) || atomic_load(&sched->loop.interrupts)) return true;
  bool shared = false;
  look_for_shared(&sched->tree.script, &shared);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, look_for_shared, &shared);
  return shared;
}

bool deadlock_stands(struct sched *sched) {
  return braid_loop_barren(&sched->loop) && !deadlock_may_end_from_outside(sched);
}

/* ---- what its error says --------------------------------------------------------------------------------------- */

struct report {
  lua_State *L;
  struct sched *sched;
  int text; /* its index on the stack */
  int lines;
};

struct search {
  const struct braid_wait_queue *queue;
  struct task *found;
};

static void walk(struct sched *sched, void (*visit)(struct task *task, void *context), void *context) {
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer) tree_walk(scope, visit, context);
}

static void is_joined(struct task *task, void *context) {
  struct search *search = context;
  if (task->joiners == search->queue) search->found = task;
}

/* Who could end the task's wait: the task that it waits for, or the owner of the lock; NULL if unknown. */
static struct task *awaited(struct sched *sched, struct task *task, const char **how) {
  struct search search = {atomic_load(&task->waiter.node.queue), NULL};
  if (!search.queue) return NULL;
  *how = "the lock that is held by";
  for (struct braid_list *at = sched->held.next; at != &sched->held; at = at->next) {
    struct braid_primitive *primitive = braid_container(at, struct braid_primitive, held);
    if (&primitive->waiters == search.queue) return (struct task *)(uintptr_t)braid_lock_owner(primitive);
  }
  *how = "the end of";
  walk(sched, is_joined, &search);
  return search.found;
}

/* Pushes "task name"; for a task without a name, its place. */
static void push_label(lua_State *L, struct sched *sched, struct task *task) {
  if (task == &sched->tree.script) {
    lua_pushliteral(L, "the script");
    return;
  }
  sched_push_task(L, task);
  taskname_push(L, -1);
  if (!lua_isnil(L, -1)) {
    lua_pushfstring(L, "task %s", luaL_tolstring(L, -1, NULL));
  } else if (task->co) {
    position_place(L, task->co);
    lua_pushfstring(L, "the task in %s", lua_tostring(L, -1));
  } else {
    lua_pushliteral(L, "a task");
  }
}

/* Adds a line for the task to the text on the top of the stack. */
static void report_task(struct task *task, void *context) {
  struct report *report = context;
  lua_State *L = report->L;
  if (!(task->waiter.flags & TASK_PARKED) || ++report->lines > MOST_LINES) return;
  luaL_checkstack(L, 12, "too deep to report");
  sched_push_task(L, task);
  taskname_push(L, -1);
  const char *name = lua_isnil(L, -1) ? "" : luaL_tolstring(L, -1, NULL), *how = NULL;
  position_place(L, task->co);
  lua_pushfstring(L, "\n  task %s%s%s", name, *name ? ": " : "", lua_tostring(L, -1));
  lua_replace(L, report->text + 1);
  lua_settop(L, report->text + 1);
  struct task *other = awaited(report->sched, task, &how);
  if (other) {
    push_label(L, report->sched, other);
    lua_pushfstring(L, ", for %s %s", how, lua_tostring(L, -1));
    lua_replace(L, report->text + 2);
    lua_settop(L, report->text + 2);
  }
  lua_concat(L, lua_gettop(L) - report->text + 1);
}

static int raise_verdict(lua_State *L, struct sched *sched) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushstring(L, sched->verdict);
  free(sched->verdict);
  sched->verdict = NULL;
  return lerror_raise(L, "deadlock", "nothing can wake these tasks any more:\n%s", lua_tostring(L, -1));
}

int deadlock_raise(lua_State *L, struct sched *sched) {
  if (sched->verdict) return raise_verdict(L, sched);
  lua_pushliteral(L, "");
  struct report report = {L, sched, lua_gettop(L), 0};
  if (!sched->main) {
    position_place(L, L);
    lua_pushfstring(L, "\n  the script itself: %s", lua_tostring(L, -1));
    lua_replace(L, report.text);
    lua_settop(L, report.text);
  }
  walk(sched, report_task, &report);
  return lerror_raise(L, "deadlock", "nothing is left that could wake anybody; who waits:%s", lua_tostring(L, -1));
}
