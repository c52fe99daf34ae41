/* SPDX-License-Identifier: MIT
 * A thread that asks the states of its process waits only for a moment. A state that is in a C function does not
 * answer; the report only names it. A state that runs Lua is poked: the signal handler, on the state's own thread, sets
 * a hook that answers. */
#include "lua/state/lstates.h"

#include <lauxlib.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/thread.h"
#include "core/base/visible.h"
#include "core/work/pool.h"
#include "lua/base/lopen.h"
#include "lua/base/lposition.h"
#include "lua/codec/lcodec.h"
#include "lua/sched/ltaskname.h"
#include "lua/state/lsample.h"

/* ---- report of a state ---------------------------------------------------------------------------------------- */

struct telling {
  lua_State *L;
  struct sched *sched;
  struct braid_buffer *text;
};

static int depth_of(const struct task *task) {
  int depth = 0;
  while (task->nursery && task->nursery->owner && task->nursery->owner->nursery) {
    task = task->nursery->owner;
    depth++;
  }
  return depth;
}

static void tell_work(struct telling *telling, struct task *task) {
  lua_State *L = telling->L;
  struct sched *sched = telling->sched;
  bool runs = task == sched->current && sched->running;
  if (task->waiter.state == FUTURE_PENDING) {
    braid_visible_format(telling->text, "not started\n");
    return;
  }
  if (runs)
    position_stand(L, sched->running);
  else
    position_place(L, task->co);
  const char *place = lua_tostring(L, -1);
  if (runs)
    braid_visible_format(telling->text, "computing %s\n", place);
  else if ((task->waiter.flags & TASK_PARKED) && braid_waiter_waiting(&task->waiter))
    braid_visible_format(telling->text, "waiting in %s, for %.1f s\n", place, sched_waited(task));
  else
    braid_visible_format(telling->text, "ready: %s\n", place);
}

static void tell_task(struct task *task, void *context) {
  if (tree_is_guest(task)) return;
  struct telling *telling = context;
  lua_State *L = telling->L;
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, "too deep to report");
  sched_push_task(L, task);
  taskname_push(L, -1);
  const char *name = lua_isnil(L, -1) ? "" : luaL_tolstring(L, -1, NULL);
  braid_visible_format(telling->text, "%*stask %s%s", 2 + 2 * depth_of(task), "", name, *name ? ": " : "");
  tell_work(telling, task);
  lua_settop(L, top);
}

static int tell(lua_State *L) {
  struct telling *telling = lua_touserdata(L, 1);
  struct sched *sched = telling->sched;
  telling->L = L;
  braid_visible_format(telling->text, "%s (thread %d)", sched->state.name, sched->state.thread_number);
  if (sched->current == &sched->tree.script && sched->running) {
    position_stand(L, sched->running);
    braid_visible_format(telling->text, ": computing %s", lua_tostring(L, -1));
  }
  braid_visible_format(telling->text, "\n");
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, tell_task, telling);
  return 0;
}

/* ---- report of its pools -------------------------------------------------------------------------------------- */

/* Arguments: the text, a job, what to write before it. */
static int tell_job(lua_State *L) {
  const struct braid_begun *begun = lua_touserdata(L, 2);
  const char *mark = lua_touserdata(L, 3);
  double seconds = (double)(braid_clock_now() - begun->since) / (double)BRAID_SECOND;
  lcodec_push_callee(L, begun->job->call);
  braid_visible_format(lua_touserdata(L, 1), "%s runs %s, for %.1f s", mark, lua_tostring(L, -1), seconds);
  return 0;
}

/* Reports what a worker process has begun, from what the parent knows: the process itself may not answer any more. */
static void tell_process(lua_State *L, struct braid_buffer *text, int pid, struct braid_begun *list, unsigned count) {
  const char *mark = ":";
  braid_visible_format(text, "  worker process %d", pid);
  for (unsigned i = 0; i < count; i++) {
    if (list[i].pid != pid) continue;
    lua_pushcfunction(L, tell_job);
    lua_pushlightuserdata(L, text);
    lua_pushlightuserdata(L, &list[i]);
    lua_pushlightuserdata(L, (void *)(uintptr_t)mark);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
    mark = ";";
  }
  braid_visible_format(text, "\n");
}

static void tell_processes(lua_State *L, struct braid_pool *pool, struct braid_buffer *text) {
  enum { MOST = 256 };
  int pids[MOST];
  struct braid_begun list[MOST];
  unsigned count = pool->kind->pids(pool, pids, MOST), begun = pool->kind->begun(pool, list, MOST);
  for (unsigned i = 0; i < count; i++) tell_process(L, text, pids[i], list, begun);
  for (unsigned i = 0; i < begun; i++) braid_job_unref(list[i].job);
}

/* Reports the pool's jobs. Worker threads report their states themselves. */
static void tell_pool(lua_State *L, struct braid_pool *pool, struct braid_buffer *text) {
  struct braid_pool_facts facts = braid_pool_look(pool);
  if (facts.alive == 0) return;
  braid_visible_format(text, "pool %s%s(%s): workers %u, jobs running %zu, waiting %zu\n", pool->name,
                       *pool->name ? " " : "", pool->kind->pids ? "processes" : "threads", facts.alive, facts.running,
                       facts.queued);
  if (pool->kind->pids) tell_processes(L, pool, text);
}

/* Appends the report of this state. Does not raise; without memory, part of it is missing. */
static void tell_state(struct sched *sched, struct braid_buffer *text) {
  lua_State *L = sched->running ? sched->running : sched->L;
  struct telling telling = {.sched = sched, .text = text};
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, tell);
  lua_pushlightuserdata(L, &telling);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  for (struct braid_list *at = sched->pools.next; at != &sched->pools; at = at->next)
    tell_pool(L, braid_container(at, struct braid_pool, sibling), text);
}

/* ---- questions and answers ------------------------------------------------------------------------------------ */

static void answer(struct sched *sched) {
  struct braid_buffer text;
  braid_buffer_init(&text);
  tell_state(sched, &text);
  braid_state_tell(&sched->state, &text);
}

/* Reports the step that runs now. */
static int tell_slow(lua_State *L) {
  struct sched *sched = sched_open(L);
  sched_push_task(L, sched->current);
  taskname_push(L, -1);
  const char *name = lua_isnil(L, -1) ? "" : luaL_tolstring(L, -1, NULL);
  position_stand(L, sched->running);
  fprintf(stderr, "braid: slow step: task %s%s(%s) has held its loop for %.2f s, %s\n", name, *name ? " " : "",
          sched->state.name, (double)(braid_clock_now() - sched->polled) / 1e9, lua_tostring(L, -1));
  return 0;
}

void states_attend(struct sched *sched) {
  enum { OURS = BRAID_STATE_TELL | BRAID_STATE_SLOW };
  unsigned asked = atomic_fetch_and(&sched->state.asked, ~(unsigned)OURS);
  if (asked & BRAID_STATE_SAMPLE) sample_take(sched, sched->stopper.computing, 0);
  if (asked & BRAID_STATE_TELL) answer(sched);
  if ((asked & BRAID_STATE_SLOW) && sched->running && sched->current->co) {
    lua_pushcfunction(sched->running, tell_slow);
    if (lua_pcall(sched->running, 0, 0, 0) != LUA_OK) lua_pop(sched->running, 1);
  }
}

/* For states that are no workers. */
static void on_poke(struct braid_poke_target *target) {
  struct sched *sched = braid_container(target, struct sched, poke_target);
  lua_State *L = sched->stopper.computing;
  if (L && atomic_load(&sched->state.asked)) hook_arm(&sched->hooks, L, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* tell_states() -> the reports of all other states of this process. Blocks until all have answered, at most 0.25 s.
 * States that ask each other at the same time also answer each other. */
static int tell_states(lua_State *L) {
  struct sched *sched = sched_of(L);
  pthread_t own = pthread_self();
  struct braid_buffer text;
  braid_buffer_init(&text);
  while (!braid_states_ask(&text, &own)) {
    states_attend(sched);
    usleep(1000);
  }
  lua_pushlstring(L, text.data ? text.data : "", text.size);
  braid_buffer_term(&text);
  return 1;
}

/* tell_state() -> the report of this state */
static int tell_own(lua_State *L) {
  struct braid_buffer text;
  braid_buffer_init(&text);
  tell_state(sched_of(L), &text);
  lua_pushlstring(L, text.data ? text.data : "", text.size);
  braid_buffer_term(&text);
  return 1;
}

/* ---- registration --------------------------------------------------------------------------------------------- */

static int leave(lua_State *L) {
  struct sched *sched = sched_open(L);
  braid_poke_remove(&sched->poke_target);
  if (!braid_loop_is_fork) braid_state_leave(&sched->state); /* in a forked process nobody asks */
  return 0;
}

/* Registers the state, until this object is collected. That is before the scheduler, which was made earlier. A second
 * try, after memory was out, finds it registered. */
static void enter(lua_State *L, struct sched *sched) {
  static const char KEY;
  bool is_registered = lua_rawgetp(L, LUA_REGISTRYINDEX, &KEY) == LUA_TUSERDATA;
  lua_pop(L, 1);
  if (is_registered) return;
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, leave);
  lua_setfield(L, -2, "__gc");
  braid_state_enter(&sched->state, &sched->loop);
  if (!sched->worker) {
    sched->poke_target.poked = on_poke;
    braid_poke_add(&sched->poke_target);
  }
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &KEY);
}

/* pid() -> the number of this process */
static int own_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* thread_id() -> the system's number of this thread */
static int thread_id(lua_State *L) {
  lua_pushinteger(L, braid_thread_number());
  return 1;
}

static const luaL_Reg functions[] = {
    {"thread_id", thread_id}, {"pid", own_pid}, {"tell_state", tell_own}, {"tell_states", tell_states}, {NULL, NULL},
};

void lstates_open(lua_State *L) {
  struct sched *sched = sched_open(L);
  enter(L, sched);
  sched_register(L, functions);
}
