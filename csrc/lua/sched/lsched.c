/* SPDX-License-Identifier: MIT
 * The registry owns the scheduler. Only the state's thread uses it. */
#include "lua/sched/lsched.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/block.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lposition.h"
#include "lua/sched/lbottom.h"
#include "lua/sched/lcopy.h"
#include "lua/sched/ldeadlock.h"
#include "lua/sched/linsist.h"
#include "lua/sched/linterrupt.h"
#include "lua/sched/lreason.h"
#include "lua/sched/lseal.h"
#include "lua/sched/lsentinel.h"
#include "lua/sched/lsigint.h"

enum {
  MOST_QUICK = 256 /* calls without a wait after which other tasks run */
};

/* ---- may it wait here? ---------------------------------------------------------------------------------------- */

BRAID_COLD static int refuse(lua_State *L, struct sched *sched) {
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

/* A task has forked, and has ended or waits. The copy has nothing more to do. */
static void leave_copy(lua_State *L, struct sched *sched) {
  if (sched->worker) lcopy_end(EXIT_SUCCESS);
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

static bool is_cancelled(lua_State *L, struct sched *sched) {
  if (sched->main) sigint_take(sched);
  return sched->tree.cancels && L == sched->running && tree_canceller(&sched->tree, sched->current);
}

/* Outside a run: SIGINT came when the script's wait had already ended. */
static bool is_interrupted(lua_State *L, struct sched *sched) {
  return !sched->main && !sched->worker && sched->current == &sched->tree.script && L == sched->running &&
         atomic_load_explicit(&sched->loop.interrupts, memory_order_relaxed) &&
         atomic_exchange(&sched->loop.interrupts, 0);
}

/* Whether there are interrupts or cancels at all: mostly there are none. */
static inline bool is_disturbed(const struct sched *sched) {
  return atomic_load_explicit(&sched->loop.interrupts, memory_order_relaxed) || sched->tree.cancels;
}

static inline void raise_if_cancelled(lua_State *L, struct sched *sched) {
  sched_check_fork(L);
  if (!is_disturbed(sched)) return;
  if (is_interrupted(L, sched)) sched_raise(L, sched, BRAID_INTERRUPTED);
  if (is_cancelled(L, sched)) sched_raise(L, sched, BRAID_CANCELLED);
}

bool sched_may_begin(lua_State *L, struct sched *sched) {
  return !(is_disturbed(sched) && is_cancelled(L, sched)) && sched_may_wait(L, sched);
}

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

/* Outside every task: turns the loop here until the script's waiter is home. */
static int park_script(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context) {
  struct sched_frame frame = sched_callbacks(sched); /* a finalizer that runs now must not use the script's waiter */
  const struct interrupt_target target = {.loop = &sched->loop,
                                          .computing = &sched->stopper.computing,
                                          .hooks = &sched->hooks,
                                          .poked = &sched->stopper.poked};
  lua_State *computing = sched_compute(sched, NULL);
  interrupt_prepare();
  if (!sched->worker) interrupt_begin(&target);
  while (!sched->driver->turn(sched, BRAID_NEVER)) {
    if (deadlock_stands(sched)) braid_loop_end_wait(&sched->loop, sched_waiter(sched), BRAID_DEADLOCK);
  }
  interrupt_end(&target);
  sched_compute(sched, computing);
  sentinel_renew(L, sched);
  sched_return(sched, frame);
  if (braid_loop_is_fork) leave_copy(L, sched);
  if (k) return k(L, LUA_YIELD, context);
  sched_end(sched);
  return 0;
}

/* Time in units of about 134 ms, as many bits as the flags have room for: it wraps after most of a day. */
static uint32_t tick_of(int64_t time) { return (uint32_t)(time >> 27); }

void sched_set_polled(struct sched *sched, int64_t now) {
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

bool sched_is_due(struct sched *sched, int64_t now) {
  enum { LONGEST = 100 * 1000 }; /* ns */
  if (now - sched->polled < LONGEST) return false;
  sched->next_look = sched->steps; /* so that the turn looks at the clock after this step, and polls */
  return true;
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

int sched_raise_now(lua_State *L, struct sched *sched, enum braid_status status) {
  if (status == BRAID_DEADLOCK) return deadlock_raise(L, sched);
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

/* Raising counts as a step: code that catches the error and goes on must not keep the loop from turning. */
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

void sched_push_task(lua_State *L, const struct task *task) {
  task->nursery->tree->shown++;
  bottom_push(L, task->co, BOTTOM_TASK);
}

void sched_push_unbegun(lua_State *L, struct sched *sched, const struct task *task) {
  reason_push_error(L, tree_canceller(&sched->tree, task), "cancelled before it began");
}

/* ---- the state's scheduler ------------------------------------------------------------------------------------ */

static const char SCHED; /* its address is the registry key */

static int close_sched(lua_State *L) {
  struct sched *sched = lua_touserdata(L, 1);
  braid_loop_close(&sched->loop);
  free(sched->job_slots.free);
  free(sched->verdict);
  braid_block_trim();
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
  seal_open(L, &sched->seal);
  int error = braid_loop_open(&sched->loop);
  if (error) lerror_raise_system(L, error, "the loop could not be opened");
  tree_init(&sched->tree, &sched->loop);
  stop_open(L, sched);
  braid_list_init(&sched->held);
  braid_list_init(&sched->aside);
  braid_list_init(&sched->abandoned);
  braid_list_init(&sched->pools);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  sched->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  sched->current = &sched->tree.script;
  sched->running = sched->stopper.computing = sched->L;
  sched_set_polled(sched, braid_clock_now());
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_sched);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &SCHED);
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
