/* SPDX-License-Identifier: MIT
 * How a running job is stopped from outside: the pool marks the job, or itself, and then pokes the thread through its
 * loop and with a signal. The loop's turn, or a hook that the signal handler sets (lstop.h), whichever comes first,
 * cancels the scopes of jobs that are marked or over their time limit. From then on every wait inside raises, and the
 * hook raises in code that never waits. A job that was just taken is checked when it has entered its scope. The hook is
 * set only by a request, so other jobs run at full speed. docs/CONCURRENCY.md, section 7, says why no request is
 * lost. */
#include "lua/pool/lworkerjob.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/process/marshal.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/codec/lcodec.h"
#include "lua/codec/litem.h"
#include "lua/sched/lcopy.h"
#include "lua/sched/ltrace.h"

/* ---- stop ----------------------------------------------------------------------------------------------------- */

enum { AGAIN = 100 * 1000 * 1000 }; /* ns after which a job that was asked to end is looked at again */

static bool is_to_end(const struct active *active) {
  return active->out_of_time || atomic_load(&active->job->stop) || atomic_load(&active->worker->core->pool->stopping);
}

/* The timer's signal comes at the first deadline, and again while a job that must end has not. */
static void set_timer(struct worker *worker) {
  int64_t first = worker->sched->stopper.count > 0 ? braid_clock_now() + AGAIN : BRAID_NEVER;
  if (!worker->has_timer) return;
  for (struct braid_list *at = worker->active.next; at != &worker->active; at = at->next) {
    const struct active *active = braid_container(at, struct active, link);
    if (active->deadline && !active->out_of_time && active->deadline < first) first = active->deadline;
  }
  braid_thread_timer_set(&worker->timer, first);
}

static void end(struct worker *worker, struct stop *stop, struct scope *scope) {
  stop_begin(worker->sched, stop);
  tree_cancel_scope(scope);
}

/* Runs in the loop's turn and in the hook. */
void workerjob_look(struct sched_worker *base) {
  struct worker *worker = braid_container(base, struct worker, base);
  struct sched *sched = worker->sched;
  do {
    sched->stopper.poked = 0;
    int64_t now = worker->settings->time_limit > 0 ? braid_clock_now() : 0;
    for (struct braid_list *at = worker->active.next; at != &worker->active; at = at->next) {
      struct active *active = braid_container(at, struct active, link);
      if (!active->scope) continue; /* workerjob_enter checks it later */
      if (now >= active->deadline && active->deadline) active->out_of_time = true;
      if (is_to_end(active)) end(worker, &active->stop, active->scope);
    }
    if (worker->init && atomic_load(&worker->core->pool->stopping)) end(worker, &worker->init_stop, worker->init);
    set_timer(worker);
  } while (sched->stopper.poked);
}

void workerjob_on_poke(struct braid_poke_target *target) {
  struct worker *worker = braid_container(target, struct worker, poke_target);
  if (!worker->listens) return;
  stop_poke(worker->sched);
  if (worker->has_timer) braid_thread_timer_set(&worker->timer, braid_clock_now() + AGAIN); /* until it has looked */
  braid_loop_interrupt(&worker->sched->loop); /* it may sleep, and the timer only sends this signal */
}

/* ---- jobs, for Lua -------------------------------------------------------------------------------------------- */

static struct active *check_job(lua_State *L) {
  struct active *active = larg_object(L, 1, JOB_METATABLE);
  if (!active->job) lerror_misuse(L, "this job has gone home");
  return active;
}

/* The time of its end stays in `ended`. */
static void go_home(struct active *active, enum braid_job_outcome outcome, struct braid_reply reply) {
  struct braid_job *job = active->job;
  if (braid_loop_is_fork) lcopy_end(outcome == BRAID_JOB_DONE ? EXIT_SUCCESS : EXIT_FAILURE);
  active->job = NULL;
  braid_list_remove(&active->link);
  bool timed = active->deadline || stop_stands(&active->stop);
  stop_end(active->worker->sched, &active->stop);
  if (timed) set_timer(active->worker);
  active->worker->memory.limit = 0;
  active->worker->outside += job->call->size + (reply.message ? reply.message->size : 0);
  active->worker->holds = active->worker->holds || job->call->object_count > 0;
  braid_trace_note(BRAID_TRACE_DONE, job);
  active->ended = braid_clock_now();
  braid_worker_finish(active->worker->core, job, outcome, reply, active->ended - active->began);
}

void workerjob_enter(struct active *active, struct scope *scope) {
  struct worker *worker = active->worker;
  active->scope = scope;
  active->shown = worker->sched->tree.shown;
  active->stop.root = scope;
  active->stop.spared = active->task = worker->sched->current;
  if (worker->settings->time_limit > 0) {
    active->deadline = braid_clock_after(worker->settings->time_limit);
    set_timer(worker);
  }
  if (worker->settings->memory_limit > 0) worker->memory.limit = worker->memory.used + worker->settings->memory_limit;
  worker->memory.exceeded = false;
  if (is_to_end(active)) workerjob_look(&worker->base); /* an earlier request found no scope to cancel */
}

static int run_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L) - 1;
}

/* In a trace the steps of the worker's task have the name of its job. */
static void name_steps(lua_State *L, const struct active *active) {
  lcodec_push_callee(L, active->job->call);
  const char *name = lua_tostring(L, -1), *file = strrchr(name, '/');
  braid_trace_record(BRAID_TRACE_NAME, active->task, file ? file + 1 : name);
  lua_pop(L, 1);
}

int workerjob_run(lua_State *L) {
  struct active *active = lua_touserdata(L, 1);
  if (braid_trace_is_on()) name_steps(L, active);
  int count = lcodec_decode(L, active->job->call);
  active->stop.spared = NULL;
  if (stop_stands(&active->stop)) stop_soon(active->worker->sched);
  lua_callk(L, count - 1, LUA_MULTRET, 0, run_k);
  return run_k(L, LUA_OK, 0);
}

bool workerjob_ran(lua_State *L, struct active *active, int status) {
  active->stop.spared = active->task;
  active->out_of_memory = active->worker->memory.exceeded;
  active->worker->memory.limit = 0;
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (braid_loop_is_fork) lcopy_end_job(L, ok);
  return ok;
}

/* job:limit() -> "time" or "memory", if that limit stopped it; or nil */
static int job_limit(lua_State *L) {
  const struct active *active = check_job(L);
  if (active->out_of_time)
    lua_pushliteral(L, "time");
  else if (active->out_of_memory)
    lua_pushliteral(L, "memory");
  else
    lua_pushnil(L);
  return 1;
}

struct braid_message *workerjob_encode_reply(lua_State *L, int index, int count, const char *what) {
  bool apart = worker_of(sched_open(L))->settings->process;
  return lcodec_encode_across(L, index, count, what, apart ? braid_marshal_refuse : NULL);
}

/* job:done(...): sends the results; raises when they cannot be sent */
static int job_done(lua_State *L) {
  struct active *active = check_job(L);
  struct braid_message *message = workerjob_encode_reply(L, 2, lua_gettop(L) - 1, "result");
  go_home(active, BRAID_JOB_DONE, (struct braid_reply){.message = message});
  return 0;
}

static int encode_done(lua_State *L) {
  int count = lua_gettop(L) - 1;
  struct braid_message **reply = lua_touserdata(L, count + 1);
  *reply = workerjob_encode_reply(L, 1, count, "result");
  return 0;
}

static int encode_failure(lua_State *L) {
  struct braid_message **reply = lua_touserdata(L, 3);
  *reply = workerjob_encode_reply(L, 1, 2, "error");
  return 0;
}

struct braid_message *workerjob_pack_failure(lua_State *L, int error, int traceback) {
  for (int try = 0; try < 2; try++) {
    struct braid_message *reply = NULL;
    lua_pushcfunction(L, encode_failure);
    if (try == 0)
      lua_pushvalue(L, error);
    else
      lerror_text(L, error);
    lua_pushvalue(L, traceback);
    lua_pushlightuserdata(L, &reply);
    if (lua_pcall(L, 3, 0, 0) == LUA_OK) return reply;
    lua_pop(L, 1);
  }
  return NULL;
}

static void go_home_failed(lua_State *L, struct active *active, int error, int traceback) {
  go_home(active, BRAID_JOB_FAILED, (struct braid_reply){.message = workerjob_pack_failure(L, error, traceback)});
}

void workerjob_reply(lua_State *L, struct active *active, int index) {
  struct braid_reply reply = {0};
  if (lua_gettop(L) == index && litem_make_small(L, index, &reply.result)) {
    go_home(active, BRAID_JOB_DONE, reply);
    return;
  }
  lua_pushcfunction(L, encode_done);
  lua_insert(L, index);
  lua_pushlightuserdata(L, &reply.message);
  if (lua_pcall(L, lua_gettop(L) - index, 0, 0) == LUA_OK) {
    go_home(active, BRAID_JOB_DONE, reply);
  } else {
    lua_pushnil(L);
    go_home_failed(L, active, index, index + 1);
  }
}

/* job:failed(error, traceback) */
static int job_failed(lua_State *L) {
  struct active *active = check_job(L);
  lua_settop(L, 3);
  go_home_failed(L, active, 2, 3);
  return 0;
}

/* job:cancelled(). If the state ends because of a shortage, the job has failed instead. */
static int job_cancelled(lua_State *L) {
  struct active *active = check_job(L);
  bool failed = active->worker->shortage && !atomic_load(&active->job->stop);
  go_home(active, failed ? BRAID_JOB_FAILED : BRAID_JOB_CANCELLED, (struct braid_reply){0});
  return 0;
}

/* The state closes before the job has ended: because nobody waits for the job, or because of a shortage. */
static int job_gc(lua_State *L) {
  struct active *active = lua_touserdata(L, 1);
  if (!active->job) return 0;
  go_home(active, active->worker->shortage ? BRAID_JOB_FAILED : BRAID_JOB_CANCELLED, (struct braid_reply){0});
  return 0;
}

bool workerjob_begin(struct worker *worker, struct active *active, struct braid_item item) {
  struct braid_job *job = braid_worker_begin(worker->core, item);
  if (!job) return false;
  braid_trace_note(BRAID_TRACE_RUN, job);
  worker->taken++;
  *active = (struct active){.worker = worker, .job = job, .began = braid_clock_now()};
  braid_list_push(&worker->active, &active->link);
  return true;
}

static const luaL_Reg job_methods[] = {
    {"done", job_done},   {"failed", job_failed}, {"cancelled", job_cancelled},
    {"limit", job_limit}, {"__gc", job_gc},       {NULL, NULL},
};

void workerjob_open(lua_State *L) { sched_class(L, JOB_METATABLE, job_methods); }
