/* SPDX-License-Identifier: MIT
 * The active stop of a task is found by a look up the tree, as for cancels: some scope or task above it is the root of
 * a stop. A cancelled task below no root (a pool's task inside a job) counts as a stray while any stop is active. */
#include "core/base/clock.h"
#include "lua/sched/linsist.h"
#include "lua/base/lerror.h"
#include "lua/sched/lsched.h"
#include "lua/sched/lsigint.h"

enum {
  LOOK = 10 * 1000,          /* instructions between two calls of the hook */
  SWITCH = 1000,             /* instructions that a change of coroutine counts for: each counts its own */
  CLEAN_UP = 1000 * 1000,    /* instructions to clean up before the code is stopped again: about 10 ms */
  BUDGET = 10 * 1000 * 1000, /* instructions of a stop in all */
  MOMENT = 1000 * 1000,      /* ns: LOOK for code that calls slow C functions */
  HELD = 100 * 1000 * 1000,  /* ns: CLEAN_UP for code that calls slow C functions */
  HELD_BUDGET = 10,          /* HELD times this is the time in all */
  SOON = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT
};

static struct stop *with_root(struct sched *sched, const void *root) {
  for (struct braid_list *at = sched->stopper.stops.next; at != &sched->stopper.stops; at = at->next) {
    struct stop *stop = braid_container(at, struct stop, link);
    if (stop->root == root) return stop;
  }
  return NULL;
}

/* The active stop of a task; NULL: none. */
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

void stop_follow(struct sched *sched, lua_State *co) {
  if (co != sched->stopper.computing) stop_soon(sched);
}

void stop_look(struct sched *sched, lua_State *co, int instructions) {
  sched->stopper.poked = 1;
  hook_arm(&sched->hooks, co, LUA_MASKCOUNT, instructions);
}

void stop_poke(struct sched *sched) {
  sched->stopper.poked = 1;
  stop_soon(sched);
}

/* Returns how long the current task has computed since the last call in the same task; 0 after a wait or a change. */
static int64_t sample(struct sched *sched) {
  struct stopper *stopper = &sched->stopper;
  int64_t now = braid_clock_now(), before = stopper->sampled;
  bool same = stopper->sampled_in == sched->current;
  stopper->sampled_in = stopper->computing ? sched->current : NULL;
  stopper->sampled = now;
  return same ? now - before : 0;
}

static bool is_hard(const struct stop *stop) {
  return stop && (stop->spent >= BUDGET || stop->held >= (int64_t)HELD * HELD_BUDGET);
}

/* Whether the code has computed for a moment without a wait. Code that has just waited should come to its next wait:
 * otherwise what it was given, for example a lock or an item, is lost before the code can do anything with it. */
static bool has_computed(const struct stop *stop) { return stop->spent >= LOOK || stop->held >= MOMENT; }

/* What it has called may have been charged to the strays, for example the job of an inline pool. */
static bool computes(const struct sched *sched, const struct stop *stop) {
  return has_computed(stop) || has_computed(&sched->stopper.stray);
}

/* Whether the code has had its time to clean up since it was stopped last. */
static bool is_overdue(const struct stop *stop) {
  return stop && (stop->spent - stop->raised >= CLEAN_UP || stop->held - stop->held_then >= HELD || is_hard(stop));
}

/* In a worker: the pool's task that this task is, or is below; NULL: none. */
static struct task *apart_from(struct sched *sched, struct task *task) {
  if (!sched->worker || sched->stopper.count == 0) return NULL;
  while (task->nursery && !(task->waiter.flags & TASK_APART)) task = task->nursery->owner;
  return task->nursery ? task : NULL;
}

/* Charges the time and the instructions since the last look to a stop. Returns that stop; NULL: nothing has to end. */
static struct stop *charge(struct sched *sched, unsigned spent) {
  struct stop *stop = stop_of(sched, sched->current);
  int64_t held = sample(sched);
  if (!stop && apart_from(sched, sched->current)) stop = &sched->stopper.stray;
  if (!stop) return NULL;
  stop->held += held;
  stop->spent += spent;
  return stop;
}

/* If the hook is already armed in the coroutine, its next call may be far away: each coroutine counts only its own
 * instructions. So overdue code gets it soon. */
void stop_rearm(struct sched *sched) {
  bool overdue = is_overdue(charge(sched, SWITCH)) || sched->stopper.poked || sched->closing;
  lua_State *co = sched->stopper.computing;
  if (co && (overdue || !hook_is_armed(co))) stop_soon(sched);
}

void stop_hand_on(struct sched *sched, lua_State *from, lua_State *co) {
  bool stale = lua_gethookmask(co) == LUA_MASKCOUNT && !sched->closing &&
               (sched->worker || !atomic_load(&sched->loop.interrupts)) &&
               !tree_canceller(&sched->tree, sched->current);
  if (stale) hook_disarm(&sched->hooks, co);
  hook_share(&sched->hooks, from, co);
}

void stop_unshield(struct sched *sched) {
  if (is_hard(stop_of(sched, sched->current))) stop_soon(sched);
}

void stop_rest(struct sched *sched) {
  lua_State *co = sched->stopper.computing;
  if (!sched->worker || !co || !hook_is_armed(co) || is_hard(stop_of(sched, sched->current))) return;
  sched->stopper.put_off = 0;
  hook_arm(&sched->hooks, co, LUA_MASKCOUNT, LOOK);
}

void stop_begin(struct sched *sched, struct stop *stop) {
  if (stop_stands(stop)) return;
  stop->spent = stop->raised = 0;
  stop->held = stop->held_then = 0;
  braid_list_push(&sched->stopper.stops, &stop->link);
  if (sched->stopper.count++ == 0) sched->stopper.stray = (struct stop){.root = NULL};
  stop_rearm(sched);
}

void stop_end(struct sched *sched, struct stop *stop) {
  if (!stop_stands(stop)) return;
  braid_list_remove(&stop->link);
  stop->link.next = NULL;
  sched->stopper.count--;
}

/* ---- the hook ------------------------------------------------------------------------------------------------- */

/* An error at once could lose what a function has just returned, for example a lock or an item. The next instruction
 * stores it where the clean-up finds it, and the clean-up may begin with a call of a C function. So the hook does not
 * raise at calls and returns, nor where it first met the code, but two instructions later. */
static bool put_off(struct sched *sched, lua_State *L, const lua_Debug *ar) {
  enum { MOST = 100 }; /* code that consists only of calls must end, too */
  bool behind = sched->stopper.put_off > 0 && sched->stopper.put_off_in == L && ar->event == LUA_HOOKCOUNT;
  sched->stopper.put_off_in = L;
  if (behind || sched->stopper.put_off >= MOST) {
    sched->stopper.put_off = 0;
    return false;
  }
  sched->stopper.put_off++;
  hook_arm(&sched->hooks, L, SOON, 2);
  return true;
}

static void note(struct stop *stop) {
  stop->raised = stop->spent;
  stop->held_then = stop->held;
}

void stop_note(struct sched *sched) {
  struct stop *stop = stop_of(sched, sched->current);
  if (stop) note(stop);
}

/* Keeps the hook armed, and raises if it is time to. */
static void press(lua_State *L, struct sched *sched, struct stop *stop) {
  struct task *task = sched->current;
  const void *canceller = task == stop->spared ? NULL : tree_canceller(&sched->tree, task);
  bool raise = canceller && (insist_told(task, canceller) ? is_overdue(stop) : computes(sched, stop));
  hook_arm(&sched->hooks, L, LUA_MASKCOUNT, raise && is_hard(stop) ? 1 : LOOK);
  if (!raise) return;
  insist_tell(task, canceller);
  note(stop);
  sched_raise_now(L, sched, BRAID_CANCELLED);
}

/* Cancels a pool's task that keeps the thread busy while a stop is active: it is below no root, and nobody else may
 * cancel it. Keeps the hook armed. */
static void cancel_holder(lua_State *L, struct sched *sched) {
  struct task *holder = apart_from(sched, sched->current);
  const struct stop *stray = &sched->stopper.stray;
  if (!holder) return;
  if (stray->spent >= CLEAN_UP || stray->held >= HELD) tree_cancel_task(&sched->tree, holder, 0);
  hook_arm(&sched->hooks, L, LUA_MASKCOUNT, LOOK);
}

/* No stop is active. Other reasons for the hook: a question what the state does, code that goes on after its cancel,
 * SIGINT. */
static void look(lua_State *L, struct sched *sched, lua_Debug *ar) {
  hook_disarm(&sched->hooks, L);
  sched->stopper.poked = 0;
  sched_attend(sched);
  insist_stop(L, sched, ar);
  sigint_look(L, sched);
}

/* For a task that catches its cancel and goes on after the end of the script. Every instruction raises, so no pcall can
 * hold it for ever. */
static void hurry(lua_State *L, struct sched *sched) {
  enum { INSTRUCTIONS_PER_LOOK = 1000 };
  bool over = braid_clock_now() >= sched->grace;
  hook_arm(&sched->hooks, L, LUA_MASKCOUNT, over ? 1 : INSTRUCTIONS_PER_LOOK);
  if (over) lerror_raise(L, "cancelled", "the script has ended, and so has the time to clean up");
}

/* What braid's hook does. */
static void act(lua_State *L, lua_Debug *ar) {
  struct sched *sched = sched_open(L);
  stop_follow(sched, L);
  sched_sample(sched, L, ar);
  if (sched->stopper.hurries) {
    hurry(L, sched);
    return;
  }
  if (!sched->worker && sched->stopper.count == 0) {
    look(L, sched, ar);
    return;
  }
  struct stop *stop = charge(sched, ar->event == LUA_HOOKCOUNT && lua_gethookcount(L) == LOOK ? LOOK : 0);
  if (!is_hard(stop) && put_off(sched, L, ar)) return;
  hook_disarm(&sched->hooks, L); /* before the looks below: a later request arms it again */
  sched_attend(sched);
  sched_look_for_stops(sched);
  stop = stop_of(sched, sched->current);
  if (stop) {
    press(L, sched, stop);
  } else {
    cancel_holder(L, sched);
    insist_stop(L, sched, ar);
  }
}

/* For a generator that has to end. */
static void leave(lua_State *L, lua_Debug *ar) {
  (void)ar;
  sched_raise_now(L, sched_open(L), BRAID_CANCELLED);
}

void stop_open(lua_State *L, struct sched *sched) {
  braid_list_init(&sched->stopper.stops);
  hook_open(L, &sched->hooks, act, leave);
}

void stop_hurry(struct task *task, void *context) {
  struct sched *sched = context;
  sched->stopper.hurries = true;
  sched->stopper.count++; /* never decreased: coroutines that these tasks resume get the hook, too */
  if (task->co) hook_arm(&sched->hooks, task->co, LUA_MASKCOUNT, 1);
}
