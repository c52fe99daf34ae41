/* SPDX-License-Identifier: MIT
 * The thread of a worker. It makes a private Lua state, in which lua/braid/pools/worker.lua serves jobs, and closes
 * it. */
#include "lua/pool/lworker.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/process/worker_process.h"
#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/sched/lcopy.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/pool/lworkerjob.h"
#include "lua/pool/lworkerserve.h"

#define WORKER_METATABLE "braid.worker"

bool worker_belongs_to(const struct sched *sched, const struct braid_pool *pool) {
  const struct worker *worker = worker_of(sched);
  return braid_pool_is_elsewhere(pool) || (worker && &worker->core->pool->pool == pool);
}

bool worker_is_thread(const struct sched *sched) {
  const struct worker *worker = worker_of(sched);
  return worker && !worker->settings->process;
}

unsigned worker_depth(const struct sched *sched) {
  const struct worker *worker = worker_of(sched);
  return worker ? worker->settings->depth : 0;
}

void worker_settings_free(void *settings) {
  struct worker_settings *this = settings;
  if (this->table) braid_message_unref(this->table);
  loaders_term(&this->loaders);
  free(this->modules);
  free(this->path);
  free(this->cpath);
  free(this);
}

/* ---- the worker, for Lua -------------------------------------------------------------------------------------- */

/* worker:job() -> a job that has not begun, for worker:serve */
static int worker_job(lua_State *L) {
  struct active *active = lua_newuserdatauv(L, sizeof *active, 0);
  active->job = NULL;
  luaL_setmetatable(L, JOB_METATABLE);
  return 1;
}

/* worker:short(error) -> whether the error means that memory, descriptors or the like are short. Then the state
 * ends. */
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

/* worker:broken(error, traceback): breaks the pool */
static int worker_broken(lua_State *L) {
  lua_settop(L, 3);
  give_up_pool(worker_of(sched_of(L)), workerjob_pack_failure(L, 2, 3));
  return 0;
}

static int try_reply(lua_State *L) {
  braid_message_unref(workerjob_encode_reply(L, 1, 1, "error"));
  return 0;
}

/* worker:refusal(value) -> why the value cannot be sent, or nil */
static int worker_refusal(lua_State *L) {
  lua_settop(L, 2);
  lua_pushcfunction(L, try_reply);
  lua_insert(L, 2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) lua_pushnil(L);
  return 1;
}

/* worker:enter(scope or nil): the init runs in this scope, which a stop of the pool cancels; nil: the init has ended */
static int worker_enter(lua_State *L) {
  if (braid_loop_is_fork) lcopy_end(EXIT_SUCCESS); /* a process that the init has forked */
  struct worker *worker = worker_of(sched_of(L));
  worker->init = lua_isnil(L, 2) ? NULL : larg_object(L, 2, "braid.scope");
  if (worker->init) worker->init_stop.root = worker->init;
  if (worker->init)
    workerjob_look(&worker->base);
  else
    stop_end(worker->sched, &worker->init_stop);
  return 0;
}

/* worker:ready(): the init has run */
static int worker_ready(lua_State *L) {
  struct worker *worker = worker_of(sched_of(L));
  worker->ready = true;
  braid_worker_is_made(worker->core);
  if (worker->settings->process) braid_worker_process_ready();
  return 0;
}

static const luaL_Reg worker_methods[] = {
    {"serve", workerserve},    {"job", worker_job},         {"enter", worker_enter}, {"ready", worker_ready},
    {"broken", worker_broken}, {"refusal", worker_refusal}, {"short", worker_short}, {NULL, NULL},
};

/* ---- the thread ----------------------------------------------------------------------------------------------- */

static void set_path(lua_State *L, const char *name, const char *value) {
  lua_getglobal(L, "package");
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* Sets the state's name for dumps. The settings are on the top of the stack. */
static void introduce(lua_State *L, const struct worker *worker) {
  bool named = lua_getfield(L, -1, "name") == LUA_TSTRING;
  const char *pool = named ? "pool " : "a pool", *name = named ? lua_tostring(L, -1) : "";
  if (worker->settings->process)
    braid_state_name(&worker->sched->state, "worker of %s%s of process %d", pool, name, (int)getppid());
  else
    braid_state_name(&worker->sched->state, "worker %u of %s%s", worker->core->index + 1, pool, name);
  lua_pop(L, 1);
}

/* The loader of a module that came compiled. Upvalues: its code, which the settings own, and its size. */
static int load_compiled(lua_State *L) {
  const char *code = lua_touserdata(L, lua_upvalueindex(1));
  size_t size = (size_t)lua_tointeger(L, lua_upvalueindex(2));
  if (luaL_loadbufferx(L, code, size, luaL_checkstring(L, 1), "b") != LUA_OK) return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* The table package.preload is on the top of the stack. */
static void preload_modules(lua_State *L, const struct worker_settings *settings) {
  const char *at = settings->modules, *end = at ? at + settings->modules_size : at;
  while (at < end) {
    size_t size;
    const char *name = at, *code = at + strnlen(name, (size_t)(end - at)) + 1 + sizeof size;
    if (code > end) return; /* it came from another process */
    memcpy(&size, code - sizeof size, sizeof size);
    if ((size_t)(end - code) < size) return;
    lua_pushlightuserdata(L, (void *)(uintptr_t)code);
    lua_pushinteger(L, (lua_Integer)size);
    lua_pushcclosure(L, load_compiled, 2);
    lua_setfield(L, -2, name);
    at = code + size;
  }
}

/* Runs protected: serves jobs until this state gets no more. */
static int serve(lua_State *L) {
  struct worker *worker = lua_touserdata(L, 1);
  lua_gc(L, LUA_GCSTOP); /* there is no garbage before the first job */
  lstate_furnish(L);
  if (worker->settings->process) lstate_free_exit(L);
  set_path(L, "path", worker->settings->path);
  set_path(L, "cpath", worker->settings->cpath);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  loaders_set(L, &worker->settings->loaders);
  lua_pushcfunction(L, luaopen_braid_core);
  lua_setfield(L, -2, "braid.core");
  preload_modules(L, worker->settings);
  lua_pop(L, 1);
  worker->sched = sched_open(L);
  worker->init = NULL;
  worker->sched->worker = &worker->base;
  worker->sched->loop.social = braid_thread_cores() > 1;
  worker->listens = true;
  braid_worker_attach(worker->core, &worker->sched->loop);
  if (worker->settings->process) braid_worker_process_look_from(&worker->sched->loop);
  workerjob_open(L);
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
  lua_gc(L, LUA_GCRESTART);
  lua_call(L, 1 + count, 0);
  return 0;
}

/* When several threads start while descriptors are short, they take them from each other. When a thread then looks for
 * the cause of its error, there may be some again. So an error without a known cause leads to another try. */
static bool try_again(struct worker *worker) {
  enum { TRIES = 3 };
  worker->again = !worker->made && !worker->settings->process && ++worker->tries < TRIES;
  return worker->again;
}

/* The state has ended with the error on the top of the stack. A shortage ends only this state, not the pool. */
static void fail(lua_State *L, struct worker *worker) {
  lua_settop(L, 1);
  worker->shortage = worker->failed ? 0 : lerror_shortage(L, 1);
  if (worker->shortage || try_again(worker)) return;
  lua_pushnil(L);
  give_up_pool(worker, workerjob_pack_failure(L, 1, 2));
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

/* Called after a state that ended because of a shortage. True: the thread makes another state. */
static bool outlive_shortage(struct worker *worker) {
  if (!worker->settings->process) return worker->taken > 0 || braid_worker_is_short(worker->core, worker->shortage);
  if (!worker->ready) braid_worker_process_short(worker->shortage);
  return false; /* the parent starts a new process */
}

/* Runs one state. False: the thread must end. */
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
  if (worker->settings->process) return false; /* the parent starts a new process */
  if (worker->failed || !worker->settings->max_jobs) return false;
  struct braid_queue_facts jobs = braid_queue_look(worker->core->pool->jobs);
  return !jobs.closed || jobs.size > 0;
}

void worker_body(struct braid_worker *core) {
  lcopy_prepare();
  struct worker worker = {.core = core,
                          .settings = core->pool->settings,
                          .base = {workerjob_look},
                          .poke_target = {.poked = workerjob_on_poke}};
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
