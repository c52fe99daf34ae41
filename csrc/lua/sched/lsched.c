/* SPDX-License-Identifier: MIT
 * The loop's turn as Lua lives it: everything that resumes Lua is in sched_step. The list of ready waiters is the
 * loop's own; there is no second one. Owned by the registry; the state's thread only. */
#include "lua/sched/lsched.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/sched/lbottom.h"
#include "lua/base/lerror.h"
#include "lua/sched/linsist.h"
#include "lua/sched/linterrupt.h"
#include "lua/sched/lreason.h"
#include "lua/base/lregistry.h"
#include "lua/sched/lseal.h"
#include "lua/base/lposition.h"
#include "lua/sched/ltrace.h"
#include "lua/base/ltraceback.h"

enum {
  MOST_STEPS = 61,      /* then the loop looks at its descriptors and deadlines again */
  FIRST_LOOK = 8,       /* steps to the first look at the clock in a turn whose steps may be long */
  LONGEST = 100 * 1000, /* ns: a turn longer than this ends at its next look */
  MOST_QUICK = 256      /* calls that need no wait, after which the others have their turn */
};

/* ---- may it wait here? ---------------------------------------------------------------------------------------- */

static int refuse(lua_State *L, struct sched *sched) {
  if (sched->running == NULL)
    return lerror_misuse(L, "this cannot wait inside a callback: callbacks run between tasks; spawn a task there");
  if (L != sched->running)
    return lerror_misuse(L, "this cannot wait inside a coroutine of coroutine.create or coroutine.wrap, whose yields "
                            "are not braid's: make it with braid.wrap, or run it as a task with braid.spawn");
  if (!position_culprit(L)) lua_pushliteral(L, "a C function");
  return lerror_misuse(L,
                       "this cannot wait inside %s, which Lua cannot suspend: wait before or after it, or outside "
                       "every task",
                       lua_tostring(L, -1));
}

bool sched_may_wait(lua_State *L, const struct sched *sched) {
  return L == sched->running && (sched->current == &sched->tree.script || lua_isyieldable(L));
}

void sched_refuse_fork(lua_State *L) {
  lerror_misuse(L, "this process was forked from one that uses braid, whose threads and descriptors are not its own: "
                   "fork before braid is touched, or start programs with braid.process");
}

/* A task has forked, and has come to its end or waits: nothing else of what the process does is the copy's. */
static void leave_copy(lua_State *L, struct sched *sched) {
  if (sched->end_copy) sched->end_copy(0);
  sched_refuse_fork(L);
}

void sched_check(lua_State *L, struct sched *sched) {
  sched_check_fork(L);
  if (!sched_may_wait(L, sched)) refuse(L, sched);
}

struct braid_waiter *sched_begin_masked(lua_State *L, struct sched *sched) {
  sched_check(L, sched);
  struct task *task = sched->current;
  task->waiter.flags |= TASK_MASKED;
  braid_waiter_arm(&task->waiter);
  return &task->waiter;
}

static bool take_interrupt(struct sched *sched);

static bool is_cancelled(lua_State *L, struct sched *sched) {
  if (sched->main) take_interrupt(sched);
  return sched->tree.cancels && L == sched->running && tree_canceller(&sched->tree, sched->current);
}

/* SIGINT outside a run, which came while the script's waiter was on its way home. */
static bool is_interrupted(lua_State *L, struct sched *sched) {
  return !sched->main && !sched->interrupted && sched->current == &sched->tree.script && L == sched->running &&
         atomic_load_explicit(&sched->loop.interrupts, memory_order_relaxed) &&
         atomic_exchange(&sched->loop.interrupts, 0);
}

static inline void raise_if_cancelled(lua_State *L, struct sched *sched) {
  sched_check_fork(L);
  if (is_interrupted(L, sched)) sched_raise(L, sched, BRAID_INTERRUPTED);
  if (is_cancelled(L, sched)) sched_raise(L, sched, BRAID_CANCELLED);
}

bool sched_may_begin(lua_State *L, struct sched *sched) { return !is_cancelled(L, sched) && sched_may_wait(L, sched); }

struct braid_waiter *sched_begin(lua_State *L, struct sched *sched) {
  raise_if_cancelled(L, sched);
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  waiter->flags &= ~(uint32_t)TASK_MASKED;
  return waiter;
}

bool sched_enter(lua_State *L, struct sched *sched) {
  raise_if_cancelled(L, sched);
  return ++sched->quick > MOST_QUICK && sched_may_wait(L, sched);
}

void sched_forget(struct sched *sched) { braid_waiter_claim(sched_waiter(sched), BRAID_OK); }

/* ---- the wait ------------------------------------------------------------------------------------------------- */

#define SENTINEL_METATABLE "braid.sentinel"

static void close_state(lua_State *L, struct sched *sched);

/* A state's end is seen by the finalizer of an object that nothing else outlives: Lua calls finalizers in the reverse
 * order of their making. So the sentinel is made anew whenever the script goes on after its tasks have run. */
static int on_sentinel(lua_State *L) {
  struct sched *sched = sched_open(L);
  if (sched->sentinel == lua_touserdata(L, 1)) close_state(L, sched);
  return 0;
}

static int make_sentinel(lua_State *L) {
  struct sched *sched = lua_touserdata(L, 1);
  void *sentinel = lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, SENTINEL_METATABLE);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sched->sentinel);
  sched->sentinel = sentinel;
  return 0;
}

/* When memory is out the old one stays. */
void sched_renew_end(lua_State *L, struct sched *sched) {
  if (sched->ending || sched->closing) return;
  lua_pushcfunction(L, make_sentinel);
  lua_pushlightuserdata(L, sched);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* Outside every task: the loop is turned here until the script's waiter is home. */
static int park_script(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context) {
  struct sched_frame frame = sched_callbacks(sched); /* a finalizer that runs now must not use the script's waiter */
  const struct interrupt_target target = {.loop = &sched->loop,
                                          .computing = &sched->stopper.computing,
                                          .hooks = &sched->hooks,
                                          .poked = &sched->stopper.poked};
  lua_State *computing = sched_compute(sched, NULL);
  interrupt_prepare();
  if (!sched->interrupted) interrupt_begin(&target);
  while (!sched_turn(sched, BRAID_NEVER)) {
    if (sched_deadlocked(sched)) braid_loop_end_wait(&sched->loop, sched_waiter(sched), BRAID_DEADLOCK);
  }
  interrupt_end(&target);
  sched_compute(sched, computing);
  sched_renew_end(L, sched);
  sched_return(sched, frame);
  if (braid_loop_is_fork) leave_copy(L, sched);
  if (k) return k(L, LUA_YIELD, context);
  sched_end(sched);
  return 0;
}

/* Time in units of some 134 ms, as far as it fits the flags: round after most of a day. */
static uint32_t tick_of(int64_t time) { return (uint32_t)(time >> 27); }

static void set_polled(struct sched *sched, int64_t now) {
  sched->polled = now;
  sched->stamp = TASK_PARKED | tick_of(now) * TASK_SINCE;
}

double sched_waited(const struct task *task) {
  enum { MASK = UINT32_MAX / TASK_SINCE };
  uint32_t ticks = (tick_of(braid_clock_now()) - task->waiter.flags / TASK_SINCE) & MASK;
  return (double)((int64_t)ticks << 27) / (double)BRAID_SECOND;
}

BRAID_INLINE int park(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context) {
  sched->quick = 0;
  uint32_t *flags = &sched->current->waiter.flags;
  *flags = (*flags & (TASK_SINCE - 1)) | sched->stamp;
  if (sched->current == &sched->tree.script) return park_script(L, sched, k, context);
  return lua_yieldk(L, 0, context, k);
}

int sched_park(lua_State *L, struct sched *sched, int64_t deadline, lua_KFunction k, lua_KContext context) {
  struct braid_waiter *waiter = sched_waiter(sched);
  if (deadline != BRAID_NEVER && !braid_loop_sleep(&sched->loop, waiter, deadline))
    braid_loop_end_wait(&sched->loop, waiter, BRAID_NO_MEMORY);
  return park(L, sched, k, context);
}

static void push_ready(struct sched *sched) {
  struct braid_waiter *waiter = sched_waiter(sched);
  waiter->status = BRAID_OK;
  braid_wake_list_push(&sched->loop.ready, waiter);
}

int sched_pass(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context) {
  raise_if_cancelled(L, sched);
  if (!sched_may_wait(L, sched)) refuse(L, sched);
  push_ready(sched);
  return park(L, sched, k, context);
}

int sched_attempt(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context) {
  return sched_enter(L, sched) ? sched_pass(L, sched, k, context) : k(L, LUA_OK, context);
}

enum braid_status sched_end(struct sched *sched) {
  struct braid_waiter *waiter = sched_waiter(sched);
  waiter->flags &= ~(uint32_t)(TASK_PARKED | TASK_MASKED);
  if (waiter->node.place) braid_loop_unsleep(&sched->loop, waiter);
  return (enum braid_status)waiter->status;
}

/* ---- why it stopped ------------------------------------------------------------------------------------------- */

static const char NAMES; /* registry key, by address: task -> name, weak */

void sched_push_task(lua_State *L, const struct task *task) { bottom_push(L, task->co, BOTTOM_TASK); }

void sched_set_name(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (braid_trace_is_on() && lua_isstring(L, -1))
    braid_trace_record(BRAID_TRACE_NAME, lua_touserdata(L, index), lua_tostring(L, -1));
  lregistry_table(L, &NAMES, "k");
  lua_pushvalue(L, index);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

void sched_push_name(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lregistry_table(L, &NAMES, "k");
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

int sched_raise_now(lua_State *L, struct sched *sched, enum braid_status status) {
  if (status == BRAID_DEADLOCK) return sched->raise_deadlock(L, sched);
  const void *canceller = tree_canceller(&sched->tree, sched->current);
  bool interrupted = status == BRAID_INTERRUPTED ||
                     (sched->main && canceller == sched->main && (sched->main->waiter.flags & TASK_INTERRUPTED));
  if (interrupted) return lerror_raise(L, "interrupted", "interrupted");
  reason_push_error(L, canceller, "cancelled");
  return lua_error(L);
}

static int raise_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_open(L);
  sched_end(sched);
  return sched_raise_now(L, sched, BRAID_CANCELLED);
}

/* Raising is a step like any other: code that swallows the error and goes on must not hold the loop with it. */
int sched_raise(lua_State *L, struct sched *sched, enum braid_status status) {
  if (status != BRAID_CANCELLED) return sched_raise_now(L, sched, status);
  struct insistence *again = insist_count(L, sched->current, tree_canceller(&sched->tree, sched->current));
  if (!again) stop_note(sched);
  bool give_way = again || ++sched->quick > MOST_QUICK;
  int look = again ? insist_look(again) : 0;
  if (look && (!hook_is_armed(L) || look < lua_gethookcount(L))) stop_look(sched, L, look);
  if (!give_way || !sched_may_wait(L, sched)) return sched_raise_now(L, sched, status);
  push_ready(sched);
  return park(L, sched, raise_k, 0);
}

void sched_push_unbegun(lua_State *L, struct sched *sched, const struct task *task) {
  reason_push_error(L, tree_canceller(&sched->tree, task), "cancelled before it began");
}

/* ---- SIGINT --------------------------------------------------------------------------------------------------- */

/* True when there was one; it is answered then. */
static bool take_interrupt(struct sched *sched) {
  if (atomic_load_explicit(&sched->loop.interrupts, memory_order_relaxed) == 0) return false;
  atomic_store(&sched->loop.interrupts, 0);
  sched->interrupt_seen = 0;
  if (sched->interrupted)
    sched->interrupted(sched);
  else if (sched->main && sched->main->co)
    tree_cancel_task(&sched->tree, sched->main, TASK_INTERRUPTED);
  else if (sched->main) { /* it has ended; what it spawned goes on */
    sched->main->waiter.flags |= TASK_INTERRUPTED;
    tree_cancel_scope(sched->main->nursery);
  } else if (!braid_loop_end_wait(&sched->loop, &sched->tree.script.waiter, BRAID_INTERRUPTED)) {
    atomic_store(&sched->loop.interrupts, 1); /* the script's wait has ended already: the next one will raise it */
    return false;
  }
  return true;
}

void sched_stop_insisting(lua_State *L, struct sched *sched, lua_Debug *ar) {
  const void *canceller = tree_canceller(&sched->tree, sched->current);
  struct insistence *insistence = canceller ? insist_find(L, sched->current, canceller) : NULL;
  int look = insistence ? insist_look(insistence) : 0;
  if (!look) return;
  lua_getinfo(L, "S", ar);
  bool ours = position_is_ours(ar); /* which will come to its end */
  if (ours || !insist_is_due(insistence)) {
    stop_look(sched, L, ours ? 1 : look);
    return;
  }
  bool first = insist_stopped(insistence);
  stop_look(sched, L, insist_look(insistence));
  if (first && sched->insists) sched->insists(L, sched);
  sched_raise_now(L, sched, BRAID_CANCELLED);
}

/* In a generator that is to be left. */
static void on_leave(lua_State *L, lua_Debug *ar) {
  (void)ar;
  sched_raise_now(L, sched_open(L), BRAID_CANCELLED);
}

/* SIGINT was seen long ago, and nobody has answered it. */
static bool is_late(struct sched *sched) {
  enum { PATIENCE = 100 * 1000 * 1000 }; /* ns */
  int64_t now = braid_clock_now();
  if (sched->interrupt_seen == 0) sched->interrupt_seen = now;
  return now - sched->interrupt_seen >= PATIENCE;
}

/* In code that computes: when somebody wants to know what it does; when it goes on after its cancel; and, long after
 * SIGINT came: stops the main task if it has not waited since, nor called anything that might. */
static void on_hook(lua_State *L, lua_Debug *ar) {
  struct sched *sched = sched_open(L);
  hook_disarm(&sched->hooks, L);
  sched->stopper.poked = 0;
  if (atomic_load(&sched->state.asked)) sched->attend(sched);
  sched_stop_insisting(L, sched, ar);
  if (atomic_load(&sched->loop.interrupts) == 0) return;
  if (!is_late(sched)) {
    stop_look(sched, L, INTERRUPT_LOOK);
    return;
  }
  if (sched->current != sched->main || !take_interrupt(sched)) return;
  if (tree_canceller(&sched->tree, sched->main)) sched_raise_now(L, sched, BRAID_INTERRUPTED); /* else it is shielded */
}

/* ---- the turn ------------------------------------------------------------------------------------------------- */

/* Closes a task's coroutine: what is left is its slot. */
static void empty(lua_State *L, lua_State *co) {
  bottom_push(L, co, BOTTOM_SLOT);
  lua_resetthread(co);
  lua_settop(co, 0);
  lua_xmove(L, co, 1);
}

/* The task's coroutine did not come to its end: an error that even its own handler could not take, or a yield that was
 * not ours, after which nothing would ever resume it. Leaves the task, the error and its place on its stack. */
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

/* The same where there is no memory to say more. An error is on the top of the state's stack. */
static void end_without_memory(struct sched *sched, struct task *task) {
  lua_State *L = sched->L, *co = task->co;
  lua_pop(L, 1);
  sched_push_task(L, task);
  empty(L, co);
  lua_pushliteral(L, LERROR_NO_MEMORY);
  lua_pushnil(L);
  lua_xmove(L, co, 3);
}

/* Arguments: the task. Its failure is the cancel, and why. */
static int keep_cancel(lua_State *L) {
  struct task *task = lua_touserdata(L, 1);
  lua_createtable(L, 1, 0);
  sched_push_unbegun(L, sched_open(L), task);
  lua_rawseti(L, 2, 1);
  lua_setiuservalue(L, 1, 1);
  return 0;
}

/* Cancelled before its first step: it never starts. */
static void skip(struct sched *sched, struct task *task) {
  lua_State *L = sched->L;
  lua_pushcfunction(L, keep_cancel);
  lua_settop(task->co, BOTTOM_TASK);
  sched_push_task(L, task);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  task->waiter.state = FUTURE_CANCELLED;
  sched->finish(sched, task, LUA_OK);
}

BRAID_INLINE void step(struct sched *sched, struct task *task, lua_State *from) {
  struct sched_frame before = {sched->current, sched->running};
  lua_State *co = task->co;
  int results;
  if (task->waiter.state == FUTURE_PENDING) {
    if (tree_canceller(&sched->tree, task) && !(task->waiter.flags & TASK_CLOSER)) {
      skip(sched, task);
      return;
    }
    task->waiter.state = FUTURE_RUNNING;
  }
  seal_break(co);
  bool traced = braid_trace_is_on();
  if (traced) braid_trace_record(BRAID_TRACE_STEP, task, NULL);
  task->waiter.flags &= ~(uint32_t)TASK_PARKED;
  sched->current = task;
  sched->running = co;
  lua_State *outer = sched_compute(sched, co);
  int status = lua_resume(co, from, 0, &results); /* the arguments of a first step are where its body expects them */
  sched_compute(sched, outer);                    /* first: the time was this task's */
  sched_return(sched, before);
  if (traced) braid_trace_record(BRAID_TRACE_PARK, task, NULL);
  if (status == LUA_YIELD) {
    if (task->waiter.flags & TASK_PARKED) {
      seal_close(co);
      return;
    }
    status = task->waiter.state >= FUTURE_DONE ? LUA_OK : LUA_ERRRUN;
  }
  if (status != LUA_OK) {
    lua_pushcfunction(sched->L, end_badly);
    lua_pushlightuserdata(sched->L, task);
    if (lua_pcall(sched->L, 1, 0, 0) != LUA_OK) end_without_memory(sched, task);
  }
  sched->finish(sched, task, status);
}

void sched_step(struct sched *sched, struct task *task, lua_State *from) { step(sched, task, from); }

/* Whether it is time to poll. The clock is looked at ever more rarely while steps are short, as it costs as much as
 * some of them. */
static bool long_enough(struct sched *sched) {
  if (sched->steps < sched->next_look) return false;
  int64_t elapsed = braid_clock_now() - sched->polled;
  sched->interval = elapsed < LONGEST / 8 ? sched->interval * 2 : FIRST_LOOK;
  sched->next_look = sched->steps + sched->interval;
  return elapsed > LONGEST;
}

/* True when the script's own waiter is home. */
static bool run_ready(struct sched *sched) {
  struct braid_waiter *waiter;
  while (sched->steps < MOST_STEPS && !braid_loop_is_fork && (waiter = braid_loop_next(&sched->loop))) {
    sched->steps++;
    if (waiter == &sched->tree.script.waiter) return true;
    if (waiter->kind == BRAID_WAITER_JOB)
      sched->arrive(sched, waiter);
    else
      step(sched, braid_container(waiter, struct task, waiter), sched->L);
    if (long_enough(sched)) break;
  }
  return false;
}

bool sched_turn(struct sched *sched, int64_t deadline) {
  if (take_interrupt(sched)) return false; /* who has waited till now learns it from that wait */
  if (run_ready(sched) || braid_loop_is_fork) return true;
  if (take_interrupt(sched)) return false;
  if (!braid_list_empty(&sched->abandoned)) sched->close_generators(sched->L, &sched->abandoned);
  if (deadline == BRAID_NEVER && sched_deadlocked(sched)) return false;
  braid_loop_poll(&sched->loop, deadline);
  if (atomic_load_explicit(&sched->state.asked, memory_order_relaxed)) sched->attend(sched);
  int64_t now = braid_clock_now();
  if (now - sched->polled > LONGEST) sched->interval = FIRST_LOOK;
  sched->steps = 0;
  sched->next_look = sched->interval;
  set_polled(sched, now);
  return false;
}

void sched_take_replies(struct sched *sched) {
  struct braid_wake_list others = {0};
  struct braid_waiter *waiter;
  braid_loop_take_mail(&sched->loop);
  while ((waiter = braid_loop_next(&sched->loop)))
    if (waiter->kind == BRAID_WAITER_JOB)
      sched->arrive(sched, waiter);
    else
      braid_wake_list_push(&others, waiter);
  while ((waiter = braid_wake_list_pop(&others))) braid_wake_list_push(&sched->loop.ready, waiter);
}

static void look_for_shared(struct task *task, void *context) {
  const struct braid_wait_queue *queue = atomic_load_explicit(&task->waiter.node.queue, memory_order_relaxed);
  bool on_its_way = (task->waiter.flags & TASK_PARKED) && !braid_waiter_waiting(&task->waiter);
  if (on_its_way || (queue && queue->guard && queue->guard->shared)) *(bool *)context = true;
}

bool sched_deadlocked(struct sched *sched) {
  if (sched->jobs) return false;
  if (sched->interrupted) return false; /* a worker's jobs can always be stopped from outside */
  if (!braid_loop_barren(&sched->loop) || atomic_load(&sched->loop.interrupts)) return false;
  bool shared = false;
  look_for_shared(&sched->tree.script, &shared);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, look_for_shared, &shared);
  return !shared;
}

/* ---- the state's end ------------------------------------------------------------------------------------------ */

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
  lua_Debug ar;
  bool by_itself = L == sched->running && sched->current == &sched->tree.script && !lua_getstack(L, 1, &ar);
  if (sched->leaving || sched->interrupted || !by_itself) return;
  sched->ending = true;
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.ending") != LUA_TFUNCTION || lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

/* What the script left unfinished is cancelled and has a moment to clean up. Then the Lua layer reports what nobody
 * has asked for. */
static void close_state(lua_State *L, struct sched *sched) {
  if (!braid_loop_is_fork) end_well(L, sched);
  sched->closing = true;
  if (braid_loop_is_fork) return;       /* all that is left is the parent's */
  if (!sched->close_generators) return; /* nor is there anything: the module could not be loaded */
  sched->grace = braid_clock_after(1.0);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_cancel_scope(scope), tree_walk(scope, sched->hurry, sched);
  sched->close_generators(L, &sched->abandoned);
  sched->close_generators(L, &sched->aside);
  if (sched->stop_pools) sched->stop_pools(sched);
  int64_t end = sched->grace + BRAID_SECOND; /* jobs have longer: their replies have a way to go */
  int left;
  while (((left = tasks_left(sched)) > 0 && braid_clock_now() < sched->grace) ||
         (sched->jobs > 0 && !sched->interrupted && braid_clock_now() < end))
    sched_turn(sched, sched->loop.ready.first ? 0 : left > 0 ? sched->grace : end);
  if (sched->release_pools) sched->release_pools(sched, end);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.closing") != LUA_TFUNCTION) return;
  lua_pushinteger(L, left);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* ---- the state's scheduler ------------------------------------------------------------------------------------ */

static const char SCHED; /* its address is the registry's key */

static int close_sched(lua_State *L) {
  struct sched *sched = lua_touserdata(L, 1);
  braid_loop_close(&sched->loop);
  return 0;
}

struct sched *sched_open(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &SCHED) == LUA_TUSERDATA) {
    struct sched *found = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return found;
  }
  lua_pop(L, 1);
  struct sched *sched = lua_newuserdatauv(L, sizeof *sched, 0);
  memset(sched, 0, sizeof *sched);
  seal_open(L);
  int error = braid_loop_open(&sched->loop);
  if (error) lerror_raise_system(L, error, "the loop could not be opened");
  tree_init(&sched->tree, &sched->loop);
  sched->hooks.act = on_hook;
  sched->hooks.leave = on_leave;
  hook_open(L, &sched->hooks);
  braid_list_init(&sched->stopper.stops);
  braid_list_init(&sched->held);
  braid_list_init(&sched->aside);
  braid_list_init(&sched->abandoned);
  braid_list_init(&sched->pools);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  sched->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  sched->current = &sched->tree.script;
  sched->running = sched->stopper.computing = sched->L;
  sched->interval = sched->next_look = FIRST_LOOK;
  set_polled(sched, braid_clock_now());
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_sched);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &SCHED);
  luaL_newmetatable(L, SENTINEL_METATABLE);
  lua_pushcfunction(L, on_sentinel);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  sched_renew_end(L, sched);
  return sched;
}

void sched_register(lua_State *L, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, sched_open(L));
  luaL_setfuncs(L, functions, 1);
}

void sched_class(lua_State *L, const char *name, const luaL_Reg *functions) {
  luaL_newmetatable(L, name);
  larg_mark(L, name);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  sched_register(L, functions);
}
