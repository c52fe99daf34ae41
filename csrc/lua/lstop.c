/* SPDX-License-Identifier: MIT
 * Which stop stands for a task is seen by looking up its scopes, as for cancels: a scope or a task below which it is. A
 * cancelled task that is below none, a pool's in a job, counts as a stray one while any stop stands. */
#include "../core/clock.h"
#include "lsched.h"

enum {
  LOOK = 10 * 1000,          /* instructions from one call of the hook to the next */
  SWITCH = 1000,             /* what a change of the coroutine counts for: each has a count of its own */
  CLEAN_UP = 1000 * 1000,    /* what code has for cleaning up, before it is stopped again: some 10 ms */
  BUDGET = 10 * 1000 * 1000, /* what a stop has in all */
  HELD = 100 * 1000 * 1000,  /* ns: the same as CLEAN_UP for code that calls slow C functions */
  HELD_BUDGET = 10,          /* times that, in all */
  SOON = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT
};

static struct stop *with_root(struct sched *sched, const void *root) {
  for (struct braid_list *at = sched->stopper.stops.next; at != &sched->stopper.stops; at = at->next) {
    struct stop *stop = braid_container(at, struct stop, link);
    if (stop->root == root) return stop;
  }
  return NULL;
}

/* The stop that stands for a task; NULL: none. */
static struct stop *stop_of(struct sched *sched, const struct task *task) {
  const struct scope *scope = task->scope;
  struct stop *found = NULL;
  if (sched->stopper.count == 0) return NULL;
  for (;;) {
    for (; scope != task->nursery && !found; scope = scope->outer) found = with_root(sched, scope);
    if (!found) found = with_root(sched, task);
    if (found || !scope) break;
    task = scope->owner;
  }
  return found || !tree_canceller(&sched->tree, sched->current) ? found : &sched->stopper.stray;
}

/* ---- arming --------------------------------------------------------------------------------------------------- */

void stop_soon(struct sched *sched) {
  lua_State *co = sched->stopper.computing;
  if (co) hook_arm(&sched->hooks, co, SOON, 1);
}

void stop_poke(struct sched *sched) {
  sched->stopper.poked = 1;
  stop_soon(sched);
}

/* How long the current task has computed since this was asked in it, without a wait in between. */
static int64_t sample(struct sched *sched) {
  struct stopper *stopper = &sched->stopper;
  int64_t now = braid_clock_now(), before = stopper->sampled;
  bool same = stopper->sampled_in == sched->current;
  stopper->sampled_in = stopper->computing ? sched->current : NULL;
  stopper->sampled = now;
  return same ? now - before : 0;
}

/* Another coroutine computes, and something may have to be stopped in it. */
static void rearm(struct sched *sched) {
  struct stop *stop = stop_of(sched, sched->current);
  int64_t held = sample(sched);
  if (stop) {
    stop->spent += SWITCH;
    stop->held += held;
  }
  if (sched->stopper.computing && !hook_is_armed(sched->stopper.computing)) stop_soon(sched);
}

void stop_begin(struct sched *sched, struct stop *stop) {
  if (stop_stands(stop)) return;
  stop->last = NULL;
  stop->spent = stop->raised = 0;
  stop->held = stop->held_then = 0;
  braid_list_push(&sched->stopper.stops, &stop->link);
  if (sched->stopper.count++ == 0) sched->stopper.stray = (struct stop){.root = NULL};
  rearm(sched);
}

void stop_end(struct sched *sched, struct stop *stop) {
  if (!stop_stands(stop)) return;
  braid_list_remove(&stop->link);
  stop->link.next = NULL;
  sched->stopper.count--;
}

/* ---- the hook ------------------------------------------------------------------------------------------------- */

static bool is_hard(const struct stop *stop) {
  return stop && (stop->spent >= BUDGET || stop->held >= (int64_t)HELD * HELD_BUDGET);
}

/* What a function has just returned, a lock or an item say, would be lost with an error here: the next instruction puts
 * it where clean-up finds it; and clean-up may be a call of a C function itself. So the hook raises neither at calls
 * and returns nor where it came upon the code, which may be just behind one, but two instructions later. */
static bool put_off(struct sched *sched, lua_State *L, const lua_Debug *ar) {
  enum { MOST = 100 }; /* code that is nothing but calls must end, too */
  bool between = ar->event != LUA_HOOKCOUNT;
  if (sched->stopper.put_off_in != L) sched->stopper.put_off = 0;
  sched->stopper.put_off_in = L;
  if ((sched->stopper.put_off > 0 && !between) || sched->stopper.put_off >= MOST) {
    sched->stopper.put_off = 0;
    return false;
  }
  sched->stopper.put_off++;
  hook_arm(&sched->hooks, L, SOON, 2);
  return true;
}

static bool is_due(const struct stop *stop, const struct task *task) {
  bool again = stop->spent - stop->raised >= CLEAN_UP || stop->held - stop->held_then >= HELD;
  return stop->last != task || again || is_hard(stop);
}

/* Goes on looking; raises when it is time to. */
static void press(lua_State *L, struct sched *sched, struct stop *stop) {
  const struct task *task = sched->current;
  bool raise = task != stop->spared && is_due(stop, task) && tree_canceller(&sched->tree, task);
  hook_arm(&sched->hooks, L, LUA_MASKCOUNT, raise && is_hard(stop) ? 1 : LOOK);
  if (!raise) return;
  stop->last = task;
  stop->raised = stop->spent;
  stop->held_then = stop->held;
  sched_raise_now(L, sched, BRAID_CANCELLED);
}

/* The pool's task that the task is, or is below: inside a worker's job; NULL: none. */
static struct task *apart_from(struct sched *sched, struct task *task) {
  if (!sched->interrupted || sched->stopper.count == 0) return NULL;
  while (task->nursery && !(task->waiter.flags & TASK_APART)) task = task->nursery->owner;
  return task->nursery ? task : NULL;
}

/* Such a task is below no root, and nobody may have cancelled it: when it keeps the thread from what is to end it has
 * to go. Goes on looking. */
static void cancel_holder(lua_State *L, struct sched *sched) {
  struct task *holder = apart_from(sched, sched->current);
  const struct stop *stray = &sched->stopper.stray;
  if (!holder) return;
  if (stray->spent >= CLEAN_UP || stray->held >= HELD) tree_cancel_task(&sched->tree, holder, 0);
  hook_arm(&sched->hooks, L, LUA_MASKCOUNT, LOOK);
}

/* What the code that has run since the last look is put down to. */
static void charge(lua_State *L, struct sched *sched, struct stop *stop, const lua_Debug *ar) {
  int64_t held = sample(sched);
  if (!stop && apart_from(sched, sched->current)) stop = &sched->stopper.stray;
  if (!stop) return;
  stop->held += held;
  if (ar->event == LUA_HOOKCOUNT && lua_gethookcount(L) == LOOK) stop->spent += LOOK;
}

static void act(lua_State *L, lua_Debug *ar) {
  struct sched *sched = sched_open(L);
  if (!sched->interrupted && sched->stopper.count == 0) {
    sched->stopper.otherwise(L, ar);
    return;
  }
  struct stop *stop = stop_of(sched, sched->current);
  charge(L, sched, stop, ar);
  if (!is_hard(stop) && put_off(sched, L, ar)) return;
  hook_disarm(&sched->hooks, L); /* before the looks: what comes later arms it anew */
  if (atomic_load(&sched->asked)) sched->attend(sched);
  if (sched->interrupted) sched->interrupted(sched);
  stop = stop_of(sched, sched->current);
  if (stop) {
    press(L, sched, stop);
  } else {
    cancel_holder(L, sched);
    sched_stop_insisting(L, sched, ar);
  }
}

void stop_open(struct sched *sched) {
  if (sched->hooks.act == act) return;
  sched->stopper.otherwise = sched->hooks.act;
  sched->hooks.act = act;
  sched->stopper.rearm = rearm;
}
