/* SPDX-License-Identifier: MIT
 * See the header. What the concurrency model leaves open is decided by `choices`: which of the ready tasks goes on,
 * when a deadline that has passed takes effect, with which case a select begins. And each call that may suspend does
 * so. When nothing is ready and nothing outside of the state is waited for, a virtual clock goes to the next deadline
 * at once. Else it runs as the machine's.
 *
 * A waiter in `ready` is claimed and has been taken from the loop's list. lua/braid/testing is the only user. */
#include "lua/turn/lsimulation.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/loop/choices.h"
#include "core/loop/priorities.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/base/lposition.h"
#include "lua/pool/lpooljob.h"
#include "lua/sched/lbottom.h"
#include "lua/sched/ldeadlock.h"
#include "lua/sched/lsigint.h"
#include "lua/state/lsample.h"
#include "lua/state/lstates.h"
#include "lua/task/lstep.h"
#include "lua/task/lwrap.h"
#include "lua/web/larrival.h"

#define SIMULATION_METATABLE "braid.simulation"

enum {
  MOST_STEPS = 61,     /* then descriptors are looked at */
  MOST_IN_A_ROW = 256, /* steps of one task before others; only where priorities decide */
  CHANGES = 2,         /* how often a priority is lowered in a schedule */
  MOST_RECORDED = 4096 /* steps in a trace: the last ones */
};

/* In the order of the names in `strategies`. */
enum strategy { ORDINARY, RANDOM, PCT, EXHAUSTIVE };

enum verdict { SOUND, TOO_LONG, UNTRUE, DEADLOCK };

/* User values of a simulation: what it calls between steps, the error of that, the recorded steps. */
enum { INVARIANT = 1, FAILURE, TRACE };

struct simulation {
  struct sched *sched; /* NULL: it does not run */
  const struct sched_driver *before;
  struct braid_choices choices;
  struct braid_priorities priorities;
  struct braid_waiter **ready; /* from `first` to `end`, the oldest first */
  size_t first, end, capacity;
  enum strategy strategy;
  enum verdict verdict;
  bool is_virtual, by_itself; /* the clock; whether it goes to the next deadline without being asked */
  bool checks, records;       /* whether there is an invariant, and a trace */
  bool away;                  /* a task may wait for another thread of this process */
  bool picked;                /* the script's wait is over */
  int64_t now, begun, recorded_at;
  uint64_t steps, most, recorded, recorded_from;
  uint64_t decisions, longest;   /* in this schedule; in the longest of all so far */
  uint64_t changes[CHANGES];     /* the decisions after which a priority is lowered */
  const struct task *last;       /* who went on last */
  unsigned in_a_row;             /* how often */
  struct braid_waiter *settling; /* goes on only when nothing else is ready */
};

/* ---- who goes on ---------------------------------------------------------------------------------------------- */

static bool make_room(struct simulation *simulation) {
  if (simulation->end < simulation->capacity) return true;
  size_t count = simulation->end - simulation->first;
  if (simulation->first > count) {
    memmove(simulation->ready, simulation->ready + simulation->first, count * sizeof *simulation->ready);
  } else {
    size_t capacity = simulation->capacity ? simulation->capacity * 2 : 64;
    struct braid_waiter **ready = malloc(capacity * sizeof *ready);
    if (!ready) return false;
    if (count > 0) memcpy(ready, simulation->ready + simulation->first, count * sizeof *ready);
    free(simulation->ready);
    simulation->ready = ready;
    simulation->capacity = capacity;
  }
  simulation->first = 0;
  simulation->end = count;
  return true;
}

/* Takes what has become ready from the loop's list. Replies of jobs, and web requests, are handled at once. */
static size_t take_ready(struct simulation *simulation) {
  struct braid_loop *loop = &simulation->sched->loop;
  while (loop->ready.first && make_room(simulation)) {
    struct braid_waiter *waiter = braid_loop_next(loop);
    if (waiter->kind == BRAID_WAITER_JOB)
      pooljob_arrive(simulation->sched, waiter);
    else if (waiter->kind == BRAID_WAITER_REQUEST)
      arrival_take(simulation->sched, waiter);
    else
      simulation->ready[simulation->end++] = waiter;
  }
  return simulation->end - simulation->first;
}

static struct braid_waiter *remove_at(struct simulation *simulation, size_t index) {
  struct braid_waiter **first = simulation->ready + simulation->first, *waiter = first[index];
  memmove(first + 1, first, index * sizeof *first);
  simulation->first++;
  if (simulation->first == simulation->end) simulation->first = simulation->end = 0;
  return waiter;
}

/* The deadlines are a candidate of their own. */
static const void *candidate(const struct simulation *simulation, size_t index) {
  size_t at = simulation->first + index;
  return at < simulation->end ? (const void *)simulation->ready[at] : (const void *)&simulation->sched->loop;
}

static size_t highest(struct simulation *simulation, size_t count) {
  size_t best = 0;
  uint64_t most = 0;
  for (size_t i = 0; i < count; i++) {
    const void *whose = candidate(simulation, i);
    bool known = braid_priorities_has(&simulation->priorities, whose);
    uint32_t random = known ? 0 : braid_choices_random(&simulation->choices, UINT32_MAX);
    uint64_t rank = braid_priorities_rank(&simulation->priorities, whose, random);
    if (rank <= most) continue;
    most = rank;
    best = i;
  }
  return best;
}

static bool is_change(const struct simulation *simulation) {
  for (int i = 0; i < CHANGES; i++)
    if (simulation->changes[i] == simulation->decisions) return true;
  return simulation->in_a_row > MOST_IN_A_ROW;
}

static size_t by_priority(struct simulation *simulation, size_t count) {
  size_t index = highest(simulation, count);
  if (is_change(simulation)) {
    braid_priorities_lower(&simulation->priorities, candidate(simulation, index));
    index = highest(simulation, count);
  }
  braid_choices_record(&simulation->choices, (uint32_t)index, (uint32_t)count);
  return index;
}

/* Chooses one of `count` candidates. */
static size_t choose(struct simulation *simulation, size_t count) {
  if (count < 2 || simulation->strategy == ORDINARY) return 0;
  simulation->decisions++;
  bool ranks = simulation->strategy == PCT && !braid_choices_are_given(&simulation->choices);
  return ranks ? by_priority(simulation, count) : braid_choices_make(&simulation->choices, (uint32_t)count);
}

static unsigned choose_case(struct sched *sched, unsigned count) {
  struct simulation *simulation = sched->simulation;
  if (simulation->strategy == ORDINARY) return sched->turns++ % count;
  return braid_choices_make(&simulation->choices, count);
}

/* ---- between steps -------------------------------------------------------------------------------------------- */

/* The run ends: the script's wait is ended, which cancels the tasks. The first reason counts. */
static void stop(struct simulation *simulation, enum verdict verdict) {
  struct sched *sched = simulation->sched;
  if (simulation->verdict == SOUND) simulation->verdict = verdict;
  enum braid_status status = verdict == DEADLOCK ? BRAID_DEADLOCK : BRAID_INTERRUPTED;
  braid_loop_end_wait(&sched->loop, &sched->tree.script.waiter, status);
}

static void push_value(struct simulation *simulation, int which) {
  lua_State *L = simulation->sched->L;
  lua_rawgetp(L, LUA_REGISTRYINDEX, simulation);
  lua_getiuservalue(L, -1, which);
  lua_remove(L, -2);
}

/* Pops the error on the top of the stack and keeps it. */
static void keep_failure(struct simulation *simulation) {
  lua_State *L = simulation->sched->L;
  lua_rawgetp(L, LUA_REGISTRYINDEX, simulation);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, FAILURE);
  lua_pop(L, 1);
}

static void check_invariant(struct simulation *simulation) {
  struct sched *sched = simulation->sched;
  lua_State *L = sched->L;
  struct sched_frame frame = sched_callbacks(sched);
  push_value(simulation, INVARIANT);
  bool failed = lua_pcall(L, 0, 1, 0) != LUA_OK, untrue = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
  sched_return(sched, frame);
  if (!failed && !untrue) {
    lua_pop(L, 1);
    return;
  }
  simulation->checks = false;
  if (failed)
    keep_failure(simulation);
  else
    lua_pop(L, 1);
  stop(simulation, UNTRUE);
}

static void after_step(struct simulation *simulation) {
  simulation->steps++;
  if (simulation->checks && simulation->verdict == SOUND) check_invariant(simulation);
  if (simulation->steps < simulation->most) return;
  simulation->most *= 2; /* the tasks get time to clean up */
  stop(simulation, TOO_LONG);
}

/* Pushes where a task that has not begun will begin: its function, or the first of the user's among its arguments. */
static void push_beginning(lua_State *L, lua_State *co) {
  lua_Debug ar;
  for (int i = BOTTOM_TASK + 1; i <= lua_gettop(co); i++) {
    if (!lua_isfunction(co, i) || lua_iscfunction(co, i)) continue;
    lua_pushvalue(co, i);
    lua_getinfo(co, ">S", &ar);
    if (position_is_ours(&ar)) continue;
    lua_pushfstring(L, "begins at %s:%d", ar.short_src, ar.linedefined);
    return;
  }
  lua_pushliteral(L, "begins");
}

/* Arguments: the trace, the simulation, the task. Adds a step: the task, where it stands, and when. */
static int record_step(lua_State *L) {
  const struct simulation *simulation = lua_touserdata(L, 2);
  const struct task *task = lua_touserdata(L, 3);
  lua_Integer index = (lua_Integer)(simulation->recorded % MOST_RECORDED) + 1;
  lua_createtable(L, 0, 3);
  sched_push_task(L, task);
  lua_setfield(L, -2, "task");
  if (task->waiter.state == FUTURE_PENDING)
    push_beginning(L, task->co);
  else
    position_place(L, task->co);
  lua_setfield(L, -2, "at");
  lua_pushnumber(L, (lua_Number)(braid_time_now() - simulation->begun) / (lua_Number)BRAID_SECOND);
  lua_setfield(L, -2, "time");
  lua_rawseti(L, 1, index);
  return 0;
}

static void record(struct simulation *simulation, struct task *task) {
  lua_State *L = simulation->sched->L;
  if (task == simulation->last && braid_time_now() == simulation->recorded_at) return;
  simulation->recorded_at = braid_time_now();
  lua_pushcfunction(L, record_step);
  push_value(simulation, TRACE);
  lua_pushlightuserdata(L, simulation);
  lua_pushlightuserdata(L, task);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
  simulation->recorded++;
}

/* Notes whether the task, which has just parked, may wait for another thread: then its waiter is claimed by now and not
 * in the ready list, or it is in the queue of a shared object. */
static void note_away(struct simulation *simulation, const struct task *task) {
  if (!braid_waiter_waiting(&task->waiter)) {
    if (simulation->sched->loop.ready.last != &task->waiter) simulation->away = true;
    return;
  }
  const struct braid_wait_queue *queue = atomic_load_explicit(&task->waiter.node.queue, memory_order_relaxed);
  if (queue && queue->guard && queue->guard->shared) simulation->away = true;
}

static void step(struct simulation *simulation, struct task *task) {
  struct sched *sched = simulation->sched;
  if (simulation->records && simulation->steps >= simulation->recorded_from && simulation->verdict == SOUND)
    record(simulation, task);
  simulation->in_a_row = task == simulation->last ? simulation->in_a_row + 1 : 0;
  simulation->last = task;
  if (simulation->strategy != ORDINARY) sched->quick = INT_MAX; /* each call that may suspend does */
  task_step(sched, task, sched->L);
  if (!task->co) { /* it has ended; nothing has been collected since */
    braid_priorities_forget(&simulation->priorities, &task->waiter);
    simulation->last = NULL;
  } else {
    note_away(simulation, task);
  }
  after_step(simulation);
}

/* ---- the turn ------------------------------------------------------------------------------------------------- */

static bool is_due(const struct simulation *simulation) {
  return braid_loop_first_deadline(&simulation->sched->loop) <= braid_time_now();
}

/* One candidate goes on. False when there is none. */
static bool go_on(struct simulation *simulation) {
  size_t ready = take_ready(simulation), count = ready + is_due(simulation);
  if (count == 0) return false;
  size_t index = choose(simulation, count);
  if (index >= ready) {
    braid_loop_fire(&simulation->sched->loop);
    return true;
  }
  struct braid_waiter *waiter = remove_at(simulation, index);
  if (waiter == &simulation->sched->tree.script.waiter)
    simulation->picked = true;
  else
    step(simulation, braid_container(waiter, struct task, waiter));
  return true;
}

/* Blocks until something outside makes a task ready, or the next deadline. A virtual clock runs on meanwhile. */
static void wait_outside(struct simulation *simulation, int64_t deadline) {
  struct braid_loop *loop = &simulation->sched->loop;
  int64_t began = braid_clock_now();
  braid_loop_collect(loop, deadline);
  int64_t first = braid_loop_first_deadline(loop), now = simulation->now + braid_clock_now() - began;
  if (simulation->by_itself) simulation->now = now < first ? now : first > simulation->now ? first : simulation->now;
}

/* Whether a task waits for something outside of the state. A look at every task tells it; mostly there is no need. */
static bool is_held(struct simulation *simulation) {
  struct sched *sched = simulation->sched;
  bool others = sched->jobs || sched->loop.watch_count > 0 || !braid_list_empty(&sched->pools);
  if (!others && !simulation->away) return false;
  bool held = deadlock_may_end_from_outside(sched);
  if (!held) simulation->away = false;
  return held;
}

/* Nothing is ready. */
static void idle(struct simulation *simulation, int64_t deadline) {
  struct sched *sched = simulation->sched;
  struct braid_waiter *settling = simulation->settling;
  simulation->settling = NULL;
  if (settling && braid_waiter_claim(settling, BRAID_OK)) {
    braid_loop_post(settling);
    return;
  }
  if (!braid_list_empty(&sched->abandoned)) wrap_close_all(sched->L, &sched->abandoned);
  if (sched->loop.ready.first) return;
  int64_t first = braid_loop_first_deadline(&sched->loop);
  if (deadline == BRAID_NEVER && deadlock_stands(sched))
    stop(simulation, DEADLOCK);
  else if (!simulation->is_virtual || is_held(simulation)) {
    wait_outside(simulation, deadline);
  } else if (simulation->by_itself && first != BRAID_NEVER) {
    simulation->now = first;
  } else {
    stop(simulation, DEADLOCK);
  }
}

static bool simulated_turn(struct sched *sched, int64_t deadline) {
  struct simulation *simulation = sched->simulation;
  if (sigint_take(sched)) return false;
  for (int i = 0; i < MOST_STEPS; i++) {
    if (braid_loop_is_fork) return true;
    if (!go_on(simulation)) {
      idle(simulation, deadline);
      break;
    }
    if (simulation->picked) {
      simulation->picked = false;
      return true;
    }
    if (!sched->simulation) return false;
  }
  if (sched->loop.watch_count > 0) braid_loop_collect(&sched->loop, 0);
  braid_loop_take_mail(&sched->loop);
  sched_attend(sched);
  return false;
}

/* ---- begin and end -------------------------------------------------------------------------------------------- */

static void give_back_ready(struct simulation *simulation) {
  struct braid_loop *loop = &simulation->sched->loop;
  take_ready(simulation);
  struct braid_wake_list rest = loop->ready;
  loop->ready = (struct braid_wake_list){0};
  while (simulation->first < simulation->end)
    braid_wake_list_push(&loop->ready, simulation->ready[simulation->first++]);
  simulation->first = simulation->end = 0;
  struct braid_waiter *waiter;
  while ((waiter = braid_wake_list_pop(&rest))) braid_wake_list_push(&loop->ready, waiter);
}

void simulation_end(struct sched *sched) {
  struct simulation *simulation = sched->simulation;
  if (!simulation) return;
  give_back_ready(simulation);
  sched->simulation = NULL;
  sched->solitary = false;
  sched->driver = simulation->before;
  simulation->sched = NULL;
  braid_time_use(NULL);
}

static struct simulation *check(lua_State *L) { return larg_object(L, 1, SIMULATION_METATABLE); }

static void set_changes(struct simulation *simulation) {
  uint64_t among = simulation->longest < UINT32_MAX ? simulation->longest + 1 : UINT32_MAX;
  for (int i = 0; i < CHANGES; i++)
    simulation->changes[i] = 1 + braid_choices_random(&simulation->choices, (uint32_t)among);
}

static void install(lua_State *L, struct simulation *simulation, bool solitary) {
  static const struct sched_driver driver = {simulated_turn, states_attend, sample_take, choose_case};
  struct sched *sched = sched_of(L);
  simulation->sched = sched;
  simulation->before = sched->driver;
  sched->driver = &driver;
  sched->simulation = simulation;
  sched->turns = 0;
  sched->solitary = solitary;
  if (simulation->is_virtual) braid_time_use(&simulation->now);
  simulation->begun = braid_time_now();
}

/* simulation:begin(strategy, seed, { start, most, invariant, trace, trace_from, real,
 * repeats, solitary, by_hand }): from now on it takes the
 * place of the loop's turn. `repeats`: the choices that were given, or that `advance` has prepared, are made again;
 * `real`: without a virtual clock; `solitary`: no other state comes to know an object; `by_hand`: that clock does not
 * go on by itself. */
static int simulation_begin(lua_State *L) {
  static const char *const strategies[] = {"ordinary", "random", "pct", "exhaustive", NULL};
  struct simulation *simulation = check(L);
  if (sched_of(L)->simulation) return lerror_misuse(L, "a simulation runs already");
  enum strategy strategy = (enum strategy)luaL_checkoption(L, 2, NULL, strategies);
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 3);
  lua_settop(L, 4);
  luaL_checktype(L, 4, LUA_TTABLE);
  lua_getfield(L, 4, "repeats");
  if (!lua_toboolean(L, -1)) braid_choices_seed(&simulation->choices, seed);
  lua_getfield(L, 4, "start");
  simulation->now = braid_clock_length(luaL_optnumber(L, -1, 0));
  lua_getfield(L, 4, "most");
  simulation->most = (uint64_t)luaL_optinteger(L, -1, LUA_MAXINTEGER);
  lua_getfield(L, 4, "trace_from");
  simulation->recorded_from = (uint64_t)luaL_optinteger(L, -1, 0);
  lua_getfield(L, 4, "real");
  simulation->is_virtual = !lua_toboolean(L, -1);
  lua_getfield(L, 4, "solitary");
  bool solitary = lua_toboolean(L, -1);
  lua_getfield(L, 4, "by_hand");
  simulation->by_itself = !lua_toboolean(L, -1);
  lua_settop(L, 4);
  simulation->checks = lua_getfield(L, 4, "invariant") != LUA_TNIL;
  lua_setiuservalue(L, 1, INVARIANT);
  simulation->records = lua_getfield(L, 4, "trace") != LUA_TNIL;
  lua_setiuservalue(L, 1, TRACE);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, FAILURE);
  lua_pushvalue(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, simulation);
  simulation->strategy = strategy;
  simulation->verdict = SOUND;
  simulation->steps = simulation->recorded = simulation->decisions = 0;
  simulation->last = NULL;
  simulation->away = true;
  braid_priorities_clear(&simulation->priorities);
  set_changes(simulation);
  install(L, simulation, solitary);
  return 0;
}

/* simulation:finish() -> verdict, the invariant's error, steps, seconds of its clock, recorded steps (the last
 * MOST_RECORDED are in the trace, at their number modulo that): the ordinary turn is back. */
static int simulation_finish(lua_State *L) {
  static const char *const verdicts[] = {"sound", "limit", "invariant", "deadlock"};
  struct simulation *simulation = check(L);
  if (!simulation->sched) return lerror_misuse(L, "this simulation does not run");
  lua_Number seconds = (lua_Number)(braid_time_now() - simulation->begun) / (lua_Number)BRAID_SECOND;
  simulation_end(sched_of(L));
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, simulation);
  if (simulation->decisions > simulation->longest) simulation->longest = simulation->decisions;
  lua_pushstring(L, verdicts[simulation->verdict]);
  lua_getiuservalue(L, 1, FAILURE);
  lua_pushinteger(L, (lua_Integer)simulation->steps);
  lua_pushnumber(L, seconds);
  lua_pushinteger(L, (lua_Integer)simulation->recorded);
  return 5;
}

/* ---- choices -------------------------------------------------------------------------------------------------- */

/* simulation:choices() -> the list of the choices that the schedule has made, counted from 0; whether it is complete;
 * whether choices that were repeated have fitted */
static int simulation_choices(lua_State *L) {
  const struct braid_choices *choices = &check(L)->choices;
  lua_createtable(L, choices->count < INT_MAX ? (int)choices->count : 0, 0);
  for (size_t i = 0; i < choices->count; i++) {
    lua_pushinteger(L, choices->made[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushboolean(L, !choices->incomplete);
  lua_pushboolean(L, !choices->strayed);
  return 3;
}

/* simulation:give(list): the next schedule repeats these choices */
static int simulation_give(lua_State *L) {
  struct braid_choices *choices = &check(L)->choices;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  braid_choices_repeat(choices, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    lua_Integer choice = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (!braid_choices_give(choices, choice < 0 || choice > UINT32_MAX ? UINT32_MAX : (uint32_t)choice))
      return lerror_memory(L);
  }
  braid_choices_repeat(choices, (size_t)count);
  return 0;
}

/* simulation:advance() -> whether there is a further schedule; it is the next one */
static int simulation_advance(lua_State *L) {
  lua_pushboolean(L, braid_choices_advance(&check(L)->choices));
  return 1;
}

/* ---- the clock ------------------------------------------------------------------------------------------------ */

/* simulation:set_auto(whether): whether the clock goes to the next deadline by itself; returns what it was */
static int simulation_set_auto(lua_State *L) {
  struct simulation *simulation = check(L);
  lua_pushboolean(L, simulation->by_itself);
  simulation->by_itself = lua_toboolean(L, 2);
  return 1;
}

static int settle_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct simulation *simulation = check(L);
  enum braid_status end = sched_end(sched);
  if (simulation->settling == sched_waiter(sched)) simulation->settling = NULL;
  return sched_stopped(end) ? sched_raise(L, sched, end) : 0;
}

/* simulation:settle(): returns when nothing else is ready now. Suspends. */
static int simulation_settle(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct simulation *simulation = check(L);
  if (simulation->settling) return lerror_misuse(L, "another task moves the clock now");
  simulation->settling = sched_begin(L, sched);
  return sched_park(L, sched, BRAID_NEVER, settle_k, 0);
}

/* ---- the object ----------------------------------------------------------------------------------------------- */

/* simulation_new() -> simulation */
static int simulation_new(lua_State *L) {
  struct simulation *simulation = lua_newuserdatauv(L, sizeof *simulation, TRACE);
  memset(simulation, 0, sizeof *simulation);
  braid_choices_init(&simulation->choices);
  braid_priorities_init(&simulation->priorities);
  luaL_setmetatable(L, SIMULATION_METATABLE);
  return 1;
}

static int simulation_gc(lua_State *L) {
  struct simulation *simulation = lua_touserdata(L, 1);
  if (simulation->sched) simulation_end(simulation->sched);
  braid_choices_term(&simulation->choices);
  braid_priorities_term(&simulation->priorities);
  free(simulation->ready);
  simulation->ready = NULL;
  simulation->capacity = 0;
  return 0;
}

static const luaL_Reg methods[] = {
    {"begin", simulation_begin},   {"finish", simulation_finish},   {"choices", simulation_choices},
    {"give", simulation_give},     {"advance", simulation_advance}, {"set_auto", simulation_set_auto},
    {"settle", simulation_settle}, {"__gc", simulation_gc},         {NULL, NULL},
};

static const luaL_Reg functions[] = {{"simulation_new", simulation_new}, {NULL, NULL}};

void lsimulation_open(lua_State *L) {
  sched_register(L, functions);
  sched_class(L, SIMULATION_METATABLE, methods);
  lua_pop(L, 1);
}
