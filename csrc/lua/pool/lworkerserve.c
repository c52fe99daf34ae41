/* SPDX-License-Identifier: MIT
 * A task that serves jobs: it takes one after the other from the pool's queue, and runs it in a scope. Most jobs leave
 * the task and the scope as they were: nobody has seen them, nothing was spawned, no lock is held. Then the next job
 * gets the same two, because nobody can tell them from new ones. Any other job is finished by Lua code (`finish`), and
 * the task ends with it; the caller of worker:serve starts another one. */
#include "lua/pool/lworkerserve.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/pool/lworkergarbage.h"
#include "lua/task/lscope.h"

/* Stack indexes of worker:serve. What a job leaves on the stack is above. */
enum { WORKER = 1, JOB, FINISH, HANDLER, SCOPE };

static struct active *job_at(lua_State *L) { return lua_touserdata(L, JOB); }
static struct scope *scope_at(lua_State *L) { return lua_touserdata(L, SCOPE); }

/* ---- the end of a job ----------------------------------------------------------------------------------------- */

/* Whether the task and its scope are as they were before the job, and nobody has a reference to them. */
static bool is_as_new(lua_State *L, const struct worker *worker, const struct active *active) {
  return scope_is_untouched(active->scope, worker->sched->current) && !lua_gethook(L) &&
         worker->sched->tree.shown == active->shown;
}

static int finished_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  lua_pushboolean(L, 1);
  return 1;
}

/* Calls finish(job, scope, ok, ...) with the results, or the error, that are on the stack. */
static int finish(lua_State *L, bool ok) {
  int count = lua_gettop(L) - SCOPE;
  lua_pushvalue(L, FINISH);
  lua_pushvalue(L, JOB);
  lua_pushvalue(L, SCOPE);
  lua_pushboolean(L, ok);
  lua_rotate(L, SCOPE + 1, 4);
  lua_callk(L, count + 3, 0, 0, finished_k);
  return finished_k(L, LUA_OK, 0);
}

/* The task ends without a job. */
static int leave(lua_State *L, bool more) {
  scope_drop(L, scope_at(L));
  lua_pushboolean(L, more);
  return 1;
}

/* ---- the next job --------------------------------------------------------------------------------------------- */

static int serve_on(lua_State *L, struct worker *worker, bool begun);

/* The system wakes several threads on the core of the thread that wakes them. So a worker that has slept moves to its
 * own core from time to time. */
static void spread(struct worker *worker) {
  enum { RARELY = 20 * 1000 * 1000 };
  int64_t now = braid_clock_now();
  if (now - worker->spread < RARELY) return;
  worker->spread = now;
  braid_thread_spread(worker->settings->core + 1 + worker->core->index);
}

static int next_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct worker *worker = worker_of(sched_of(L));
  enum braid_status end = sched_end(worker->sched);
  bool begun = false;
  if (end == BRAID_OK) {
    spread(worker);
    begun = workerjob_begin(worker, job_at(L), braid_wait_node_item(&sched_waiter(worker->sched)->node));
  } else if (end == BRAID_TIMEOUT || end == BRAID_NO_MEMORY) { /* it was idle, or no memory for the deadline */
    workergarbage_collect(L, worker);
  } else {
    return sched_stopped(end) ? sched_raise(L, worker->sched, end) : leave(L, false);
  }
  return serve_on(L, worker, begun);
}

/* BRAID_OK: the next job has begun. BRAID_CLOSED: there are no more. BRAID_WAIT: the current task waits for one. */
static enum braid_status next(lua_State *L, struct worker *worker) {
  struct braid_queue *jobs = worker->core->pool->jobs;
  struct braid_item item;
  enum braid_status status;
  if (worker->settings->max_jobs && worker->taken >= worker->settings->max_jobs) return BRAID_CLOSED;
  if (workergarbage_is_much(worker)) workergarbage_collect(L, worker);
  while ((status = braid_queue_get(jobs, &item, NULL)) == BRAID_OK)
    if (workerjob_begin(worker, job_at(L), item)) return BRAID_OK;
  if (status == BRAID_CLOSED) return BRAID_CLOSED;
  struct braid_waiter *waiter = sched_begin(L, worker->sched);
  status = braid_queue_get(jobs, &item, &waiter->node);
  if (status == BRAID_WAIT) return BRAID_WAIT;
  sched_forget(worker->sched);
  if (status == BRAID_CLOSED) return BRAID_CLOSED;
  return workerjob_begin(worker, job_at(L), item) ? BRAID_OK : next(L, worker);
}

/* ---- jobs one after the other --------------------------------------------------------------------------------- */

static int passed_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct worker *worker = worker_of(sched_of(L));
  sched_end(worker->sched);
  return serve_on(L, worker, false);
}

/* The job's function has returned or failed. True: the job has gone home, and the task can serve another one. */
static bool end_job(lua_State *L, struct worker *worker, int status) {
  struct active *active = job_at(L);
  luaL_checkstack(L, LUA_MINSTACK, "too many results");
  bool ok = workerjob_ran(L, active, status);
  if (!ok || !is_as_new(L, worker, active)) return false;
  tree_leave(active->scope);
  workerjob_reply(L, active, SCOPE + 1);
  lua_settop(L, SCOPE);
  return true;
}

static int ran_k(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct worker *worker = worker_of(sched_of(L));
  if (!end_job(L, worker, status)) return finish(L, status == LUA_OK || status == LUA_YIELD);
  return serve_on(L, worker, false);
}

static int serve_on(lua_State *L, struct worker *worker, bool begun) {
  for (;;) {
    enum braid_status status = begun ? BRAID_OK : next(L, worker);
    if (status == BRAID_WAIT) return sched_park(L, worker->sched, workergarbage_idle_from(worker), next_k, 0);
    if (status == BRAID_CLOSED) return leave(L, false);
    begun = false;
    scope_enter(worker->sched, scope_at(L), SCOPE_NURSERY | SCOPE_RUN);
    workerjob_enter(job_at(L), scope_at(L));
    lua_pushcfunction(L, workerjob_run);
    lua_pushvalue(L, JOB);
    int how = lua_pcallk(L, 1, LUA_MULTRET, HANDLER, 0, ran_k);
    if (!end_job(L, worker, how)) return finish(L, how == LUA_OK);
    if (sched_is_due(worker->sched, job_at(L)->ended)) return sched_pass(L, worker->sched, passed_k, 0);
  }
}

int workerserve(lua_State *L) {
  struct worker *worker = worker_of(sched_of(L));
  larg_object(L, JOB, JOB_METATABLE);
  larg_function(L, FINISH, "finish");
  larg_function(L, HANDLER, "handler");
  lua_settop(L, HANDLER);
  scope_new(L);
  return serve_on(L, worker, false);
}
