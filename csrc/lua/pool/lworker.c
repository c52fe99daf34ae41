/* SPDX-License-Identifier: MIT
 * The life of a worker's thread: a private state is made, lua/braid/pools/worker.lua serves jobs in it, the state is
 * closed.
 *
 * A running job is stopped from outside like this: the pool marks the job, or itself, and pokes the thread, through its
 * loop and by a signal. The loop's turn, or a hook that the signal's handler arms (lstop.h), whichever comes first,
 * cancels the scopes of jobs that are marked or out of time; from then on every wait inside raises, and the hook raises
 * in code that never waits. A job that has just been taken looks when it has entered its scope. The hook is armed only
 * then, so undisturbed jobs pay nothing. docs/CONCURRENCY.md, section 7, says why no request is lost. */
#include "lua/pool/lworker.h"

#include <errno.h>
#include <lauxlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/process/worker_process.h"
#include "core/inspect/poke.h"
#include "core/loop/thread_timer.h"
#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/sched/lcopy.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/state/lstate.h"
#include "lua/sched/ltrace.h"

#define WORKER_METATABLE "braid.worker"
#define JOB_METATABLE "braid.job"

struct worker {
  struct sched_worker base; /* of its state */
  struct braid_worker *core;
  const struct worker_settings *settings;
  struct sched *sched;
  struct lstate_memory memory;
  struct braid_list active; /* jobs that are begun */
  struct scope *init;       /* in which the init runs, or NULL */
  struct stop init_stop;
  uint64_t taken;                  /* by this state */
  size_t floor;                    /* bytes in use when all garbage had been collected last */
  size_t outside;                  /* bytes that jobs have used since, of which Lua's collector does not know */
  bool holds;                      /* jobs have brought shared objects since */
  int64_t spread;                  /* when it last went to a core of its own */
  struct braid_thread_timer timer; /* for jobs that never wait */
  int timer_error;                 /* why there is none */
  bool has_timer, failed;
  struct braid_poke_target poke_target;
  volatile sig_atomic_t listens; /* to pokes: its state is there, and will be for a while */
  bool made, ready;              /* the state: it has all that it needs, and its init has run */
  bool again;                    /* it has not, and is to be made again */
  int tries;                     /* how often it was not, for no reason that is known */
  int shortage;                  /* an error number: for want of what the state has ended; 0: it has not */
};

/* A job that is begun: userdata, alive until the job has gone home. */
struct active {
  struct worker *worker;
  struct braid_job *job; /* NULL: gone home */
  struct braid_list link;
  struct scope *scope;
  struct task *task; /* who runs it */
  int64_t began, deadline;
  struct stop stop; /* spares the task but while the user's code runs */
  bool out_of_time, out_of_memory;
};

/* Whose state it is; NULL: a script's. */
static struct worker *worker_of(const struct sched *sched) {
  return sched->worker ? braid_container(sched->worker, struct worker, base) : NULL;
}

bool worker_belongs_to(const struct sched *sched, const struct braid_pool *pool) {
  const struct worker *worker = worker_of(sched);
  return braid_pool_is_elsewhere(pool) || (worker && &worker->core->pool->pool == pool);
}

bool worker_is_thread(const struct sched *sched) {
  const struct worker *worker = worker_of(sched);
  return worker && !worker->settings->process;
}

void worker_settings_free(void *settings) {
  struct worker_settings *this = settings;
  if (this->table) braid_message_unref(this->table);
  free(this->path);
  free(this->cpath);
  free(this);
}

/* ---- stopping jobs -------------------------------------------------------------------------------------------- */

enum { AGAIN = 100 * 1000 * 1000 }; /* ns: what is asked to end and has not is looked at again */

static bool is_to_end(const struct active *active) {
  return active->out_of_time || atomic_load(&active->job->stop) || atomic_load(&active->worker->core->pool->stopping);
}

/* The signal comes when the first of the deadlines passes, and again while something is to end. */
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

/* In the loop's turn and in the hook. */
static void look_for_stops(struct sched_worker *base) {
  struct worker *worker = braid_container(base, struct worker, base);
  struct sched *sched = worker->sched;
  do {
    sched->stopper.poked = 0;
    int64_t now = worker->settings->time_limit > 0 ? braid_clock_now() : 0;
    for (struct braid_list *at = worker->active.next; at != &worker->active; at = at->next) {
      struct active *active = braid_container(at, struct active, link);
      if (!active->scope) continue; /* `enter` looks itself */
      if (now >= active->deadline && active->deadline) active->out_of_time = true;
      if (is_to_end(active)) end(worker, &active->stop, active->scope);
    }
    if (worker->init && atomic_load(&worker->core->pool->stopping)) end(worker, &worker->init_stop, worker->init);
    set_timer(worker);
  } while (sched->stopper.poked);
}

/* In the signal's handler, on the worker's own thread, wherever it stands. */
static void on_poke(struct braid_poke_target *target) {
  struct worker *worker = braid_container(target, struct worker, poke_target);
  if (!worker->listens) return;
  stop_poke(worker->sched);
  if (worker->has_timer) braid_thread_timer_set(&worker->timer, braid_clock_now() + AGAIN); /* until it has looked */
  braid_loop_interrupt(&worker->sched->loop); /* it may sleep: the timer only sends this signal */
}

/* ---- jobs as Lua sees them ------------------------------------------------------------------------------------ */

static struct active *check_job(lua_State *L) {
  struct active *active = larg_object(L, 1, JOB_METATABLE);
  if (!active->job) lerror_misuse(L, "this job has gone home");
  return active;
}

static void go_home(struct active *active, enum braid_job_outcome outcome, struct braid_message *reply) {
  struct braid_job *job = active->job;
  if (braid_loop_is_fork) lcopy_end(outcome == BRAID_JOB_DONE ? EXIT_SUCCESS : EXIT_FAILURE);
  active->job = NULL;
  braid_list_remove(&active->link);
  bool timed = active->deadline || stop_stands(&active->stop);
  stop_end(active->worker->sched, &active->stop);
  if (timed) set_timer(active->worker);
  active->worker->memory.limit = 0;
  active->worker->outside += job->call->size + (reply ? reply->size : 0);
  active->worker->holds = active->worker->holds || job->call->object_count > 0;
  braid_trace_note(BRAID_TRACE_DONE, job);
  braid_worker_finish(active->worker->core, job, outcome, reply, braid_clock_now() - active->began);
}

/* From here on a stop or a limit cancels this scope. */
static void enter(struct active *active, struct scope *scope) {
  struct worker *worker = active->worker;
  active->scope = scope;
  active->stop.root = scope;
  active->stop.spared = active->task = worker->sched->current;
  if (worker->settings->time_limit > 0) {
    active->deadline = braid_clock_after(worker->settings->time_limit);
    set_timer(worker);
  }
  if (worker->settings->memory_limit > 0) worker->memory.limit = worker->memory.used + worker->settings->memory_limit;
  worker->memory.exceeded = false;
  if (is_to_end(active)) look_for_stops(&worker->base); /* who came before this found no scope to cancel */
}

static int run_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L) - 1;
}

/* Stack: 1 the job. Its function is called with its arguments. */
static int run(lua_State *L) {
  struct active *active = lua_touserdata(L, 1);
  int count = lcodec_decode(L, active->job->call);
  active->stop.spared = NULL;
  if (stop_stands(&active->stop)) stop_soon(active->worker->sched);
  lua_callk(L, count - 1, LUA_MULTRET, 0, run_k);
  return run_k(L, LUA_OK, 0);
}

static int job_run_k(lua_State *L, int status, lua_KContext context) {
  struct active *active = (struct active *)context;
  active->stop.spared = active->task;
  active->out_of_memory = active->worker->memory.exceeded;
  active->worker->memory.limit = 0;
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (braid_loop_is_fork) lcopy_end_job(L, ok);
  lua_pushboolean(L, ok);
  lua_replace(L, 2);
  return lua_gettop(L) - 1;
}

/* job:run(scope, handler) -> true and the results, or false and the error, as the message handler left it. A stop or a
 * limit cancels the scope. Suspends. */
static int job_run(lua_State *L) {
  struct active *active = check_job(L);
  struct scope *scope = larg_object(L, 2, "braid.scope");
  larg_function(L, 3, "handler");
  lua_settop(L, 3);
  lua_insert(L, 2);
  lua_setiuservalue(L, 1, 1); /* the scope outlives a task that forgets it */
  enter(active, scope);
  lua_pushcfunction(L, run);
  lua_pushvalue(L, 1);
  int status = lua_pcallk(L, 1, LUA_MULTRET, 2, (lua_KContext)active, job_run_k);
  return job_run_k(L, status, (lua_KContext)active);
}

/* job:limit() -> "time" or "memory" when that is why it was stopped, or nil. */
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

static struct braid_message *encode_reply(lua_State *L, int index, int count, const char *what) {
  bool apart = worker_of(sched_open(L))->settings->process;
  return lcodec_encode_across(L, index, count, what, apart ? braid_connection_refuse_object : NULL);
}

/* job:done(...): the results travel home; raises when they cannot. */
static int job_done(lua_State *L) {
  struct active *active = check_job(L);
  go_home(active, BRAID_JOB_DONE, encode_reply(L, 2, lua_gettop(L) - 1, "result"));
  return 0;
}

static int encode_failure(lua_State *L) {
  struct braid_message **reply = lua_touserdata(L, 3);
  *reply = encode_reply(L, 1, 2, "error");
  return 0;
}

/* An error that cannot travel as it is goes as its text. NULL when memory is out. */
static struct braid_message *pack_failure(lua_State *L, int error, int traceback) {
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

/* job:failed(error, traceback) */
static int job_failed(lua_State *L) {
  struct active *active = check_job(L);
  lua_settop(L, 3);
  go_home(active, BRAID_JOB_FAILED, pack_failure(L, 2, 3));
  return 0;
}

/* job:cancelled(). Of a state that ends for want of something the job is not cancelled, but has failed. */
static int job_cancelled(lua_State *L) {
  struct active *active = check_job(L);
  bool failed = active->worker->shortage && !atomic_load(&active->job->stop);
  go_home(active, failed ? BRAID_JOB_FAILED : BRAID_JOB_CANCELLED, NULL);
  return 0;
}

/* The state closes while the job has not ended: nobody is left waiting for it, or the state has ended for want of
 * memory. */
static int job_gc(lua_State *L) {
  struct active *active = lua_touserdata(L, 1);
  if (active->job) go_home(active, active->worker->shortage ? BRAID_JOB_FAILED : BRAID_JOB_CANCELLED, NULL);
  return 0;
}

/* ---- memory that a job leaves behind -------------------------------------------------------------------------- */

/* Lua's collector comes when a state has twice the memory that it had: after one large job that may be never. And it
 * does not know of what is outside: arrays, and objects that others wait to see freed. */
enum {
  SOME = 1 << 20,                  /* bytes of garbage: collected when the worker has been idle for a while */
  MUCH = 64 << 20,                 /* collected between two jobs */
  IDLE = 250 * 1000 * 1000,        /* ns */
  WORTH_TRIMMING = 8 * 1024 * 1024 /* bytes that malloc may give back to the system */
};

static size_t garbage(struct worker *worker) {
  if (worker->floor == 0 || worker->memory.used < worker->floor) worker->floor = worker->memory.used;
  return worker->memory.used - worker->floor;
}

/* Bytes that malloc may have kept from the system since the last time. */
static size_t kept_back(const struct worker *worker) {
  return worker->memory.peak - worker->floor + worker->outside + worker->sched->outside;
}

static void collect(lua_State *L, struct worker *worker) {
  if (lua_gc(L, LUA_GCISRUNNING)) lua_gc(L, LUA_GCCOLLECT);
  worker->floor = worker->memory.used;
#ifdef __GLIBC__
  if (kept_back(worker) >= WORTH_TRIMMING) malloc_trim(0);
#endif
  worker->memory.peak = worker->floor;
  worker->outside = worker->sched->outside = 0;
  worker->holds = false;
}

/* When a worker that waits for a job from now on is idle. */
static int64_t idle_from(struct worker *worker) {
  bool untidy = worker->holds || garbage(worker) + worker->outside + worker->sched->outside >= SOME ||
                kept_back(worker) >= WORTH_TRIMMING;
  return untidy ? braid_clock_now() + IDLE : BRAID_NEVER;
}

/* ---- the worker as Lua sees it -------------------------------------------------------------------------------- */

static int next_k(lua_State *L, int status, lua_KContext context);

/* The box is on the top of the stack: the item's job goes in, if it was not cancelled. */
static bool begin(struct worker *worker, struct active *active, struct braid_item item) {
  struct braid_job *job = braid_worker_begin(worker->core, item);
  if (!job) return false;
  braid_trace_note(BRAID_TRACE_RUN, job);
  worker->taken++;
  *active = (struct active){.worker = worker, .job = job, .began = braid_clock_now()};
  braid_list_push(&worker->active, &active->link);
  return true;
}

static int next_job(lua_State *L) {
  struct worker *worker = worker_of(sched_of(L));
  struct active *active = lua_touserdata(L, -1);
  struct braid_queue *jobs = worker->core->pool->jobs;
  struct braid_item item;
  enum braid_status status;
  if (worker->settings->max_jobs && worker->taken >= worker->settings->max_jobs) return 0;
  if (garbage(worker) > MUCH + worker->floor) collect(L, worker);
  while ((status = braid_queue_get(jobs, &item, NULL)) == BRAID_OK)
    if (begin(worker, active, item)) return 1;
  if (status == BRAID_CLOSED) return 0;
  struct braid_waiter *waiter = sched_begin(L, worker->sched);
  status = braid_queue_get(jobs, &item, &waiter->node);
  if (status == BRAID_WAIT) return sched_park(L, worker->sched, idle_from(worker), next_k, 0);
  sched_forget(worker->sched);
  if (status == BRAID_CLOSED) return 0;
  return begin(worker, active, item) ? 1 : next_job(L);
}

/* After a sleep, now and then: the system wakes several threads on the core of whoever wakes them. */
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
  if (end == BRAID_OK) {
    spread(worker);
    bool begun = begin(worker, lua_touserdata(L, -1), braid_wait_node_item(&sched_waiter(worker->sched)->node));
    return begun ? 1 : next_job(L);
  }
  if (end == BRAID_TIMEOUT || end == BRAID_NO_MEMORY) { /* it has been idle; or there was none for a deadline */
    collect(L, worker);
    return next_job(L);
  }
  return sched_stopped(end) ? sched_raise(L, worker->sched, end) : 0;
}

/* worker:next() -> job, or nil when there will be no more for this state. Suspends. */
static int worker_next(lua_State *L) {
  lua_settop(L, 1);
  struct active *active = lua_newuserdatauv(L, sizeof *active, 1);
  active->job = NULL;
  luaL_setmetatable(L, JOB_METATABLE);
  return next_job(L);
}

/* worker:short(error) -> whether it tells of a want of memory, descriptors or the like. It is the state's end, then. */
static int worker_short(lua_State *L) {
  struct worker *worker = worker_of(sched_of(L));
  worker->shortage = lerror_shortage(L, 2);
  lua_pushboolean(L, worker->shortage != 0);
  return 1;
}

/* Takes over the message. */
static void give_up_pool(struct worker *worker, struct braid_message *failure) {
  if (braid_loop_is_fork) lcopy_end(EXIT_FAILURE);
  worker->failed = true;
  if (worker->settings->process) braid_worker_process_failed(failure);
  braid_worker_fail(worker->core, failure);
}

/* worker:broken(error, traceback): the pool is given up. */
static int worker_broken(lua_State *L) {
  lua_settop(L, 3);
  give_up_pool(worker_of(sched_of(L)), pack_failure(L, 2, 3));
  return 0;
}

static int try_reply(lua_State *L) {
  braid_message_unref(encode_reply(L, 1, 1, "error"));
  return 0;
}

/* worker:refusal(value) -> why it cannot go home, or nil */
static int worker_refusal(lua_State *L) {
  lua_settop(L, 2);
  lua_pushcfunction(L, try_reply);
  lua_insert(L, 2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) lua_pushnil(L);
  return 1;
}

/* worker:enter(scope or nil): the scope in which the init runs is cancelled when the pool is stopped. */
static int worker_enter(lua_State *L) {
  if (braid_loop_is_fork) lcopy_end(EXIT_SUCCESS); /* it has been forked by the init */
  struct worker *worker = worker_of(sched_of(L));
  worker->init = lua_isnil(L, 2) ? NULL : larg_object(L, 2, "braid.scope");
  if (worker->init) worker->init_stop.root = worker->init;
  if (worker->init)
    look_for_stops(&worker->base);
  else
    stop_end(worker->sched, &worker->init_stop);
  return 0;
}

/* worker:ready(): its init has run. */
static int worker_ready(lua_State *L) {
  struct worker *worker = worker_of(sched_of(L));
  worker->ready = true;
  braid_worker_is_made(worker->core);
  if (worker->settings->process) braid_worker_process_ready();
  return 0;
}

static const luaL_Reg job_methods[] = {
    {"run", job_run},     {"done", job_done}, {"failed", job_failed}, {"cancelled", job_cancelled},
    {"limit", job_limit}, {"__gc", job_gc},   {NULL, NULL},
};

static const luaL_Reg worker_methods[] = {
    {"next", worker_next},
    {"enter", worker_enter},
    {"ready", worker_ready},
    {"broken", worker_broken},
    {"refusal", worker_refusal},
    {"short", worker_short},
    {NULL, NULL},
};

/* ---- the thread ----------------------------------------------------------------------------------------------- */

static void set_path(lua_State *L, const char *name, const char *value) {
  lua_getglobal(L, "package");
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* For dumps; the settings are on the top of the stack. */
static void introduce(lua_State *L, const struct worker *worker) {
  bool named = lua_getfield(L, -1, "name") == LUA_TSTRING;
  const char *pool = named ? "pool " : "a pool", *name = named ? lua_tostring(L, -1) : "";
  if (worker->settings->process)
    braid_state_name(&worker->sched->state, "worker of %s%s of process %d", pool, name, (int)getppid());
  else
    braid_state_name(&worker->sched->state, "worker %u of %s%s", worker->core->index + 1, pool, name);
  lua_pop(L, 1);
}

/* Runs protected: serves jobs until there will be no more for this state. */
static int serve(lua_State *L) {
  struct worker *worker = lua_touserdata(L, 1);
  lstate_furnish(L);
  if (worker->settings->process) lstate_free_exit(L);
  set_path(L, "path", worker->settings->path);
  set_path(L, "cpath", worker->settings->cpath);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_braid_core);
  lua_setfield(L, -2, "braid.core");
  lua_pop(L, 1);
  worker->sched = sched_open(L);
  worker->init = NULL;
  worker->sched->worker = &worker->base;
  worker->sched->loop.social = braid_thread_cores() > 1;
  worker->listens = true;
  braid_worker_attach(worker->core, &worker->sched->loop);
  sched_class(L, JOB_METATABLE, job_methods);
  sched_class(L, WORKER_METATABLE, worker_methods);
  lua_settop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "braid.pools.worker");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, WORKER_METATABLE);
  int count = lcodec_decode(L, worker->settings->table);
  introduce(L, worker);
  if (worker->settings->time_limit > 0 && !worker->has_timer)
    lerror_raise_system(L, worker->timer_error, "the timer for time_limit could not be made");
  worker->made = true;
  worker->tries = 0;
  lua_call(L, 1 + count, 0);
  return 0;
}

/* Several threads that are made while descriptors are short take them from each other, and may find them there when
 * they look why something has failed: no error is believed at once. */
static bool try_again(struct worker *worker) {
  enum { TRIES = 3 };
  worker->again = !worker->made && !worker->settings->process && ++worker->tries < TRIES;
  return worker->again;
}

/* The state has ended by the error on the top of the stack. For want of something that is the state's end alone. */
static void fail(lua_State *L, struct worker *worker) {
  lua_settop(L, 1);
  worker->shortage = worker->failed ? 0 : lerror_shortage(L, 1);
  if (worker->shortage || try_again(worker)) return;
  lua_pushnil(L);
  give_up_pool(worker, pack_failure(L, 1, 2));
}

static void run_state(lua_State *L, struct worker *worker) {
  lua_pushcfunction(L, serve);
  lua_pushlightuserdata(L, worker);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) fail(L, worker);
  braid_worker_attach(worker->core, NULL);
  worker->listens = false;
  lua_close(L);
  worker->sched = NULL;
}

/* After a state that has ended for want of something: true when there is to be another. */
static bool outlive_shortage(struct worker *worker) {
  if (!worker->settings->process) return worker->taken > 0 || braid_worker_is_short(worker->core, worker->shortage);
  if (!worker->ready) braid_worker_process_short(worker->shortage);
  return false; /* a new process takes its place */
}

/* One state's life; false when the thread is to end. */
static bool live(struct worker *worker) {
  worker->taken = worker->floor = worker->outside = 0;
  worker->holds = worker->made = worker->ready = worker->again = false;
  worker->shortage = 0;
  lua_State *L = lstate_new(&worker->memory);
  if (L)
    run_state(L, worker);
  else
    worker->shortage = ENOMEM;
  if (worker->again) return true;
  if (worker->shortage) return outlive_shortage(worker);
  if (worker->settings->process) return false; /* a new process takes its place */
  if (worker->failed || !worker->settings->max_jobs) return false;
  struct braid_queue_facts jobs = braid_queue_look(worker->core->pool->jobs);
  return !jobs.closed || jobs.size > 0;
}

void worker_body(struct braid_worker *core) {
  lcopy_prepare();
  struct worker worker = {
      .core = core, .settings = core->pool->settings, .base = {look_for_stops}, .poke_target = {.poked = on_poke}};
  braid_list_init(&worker.active);
  braid_poke_add(&worker.poke_target);
  braid_thread_spread(worker.settings->core + 1 + core->index);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, BRAID_POKE_SIGNAL);
  pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
  worker.timer_error = braid_thread_timer_open(&worker.timer, BRAID_POKE_SIGNAL);
  worker.has_timer = worker.timer_error == 0;
  while (live(&worker)) {
  }
  if (worker.has_timer) braid_thread_timer_close(&worker.timer);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  braid_poke_remove(&worker.poke_target);
}
