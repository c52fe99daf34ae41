/* SPDX-License-Identifier: MIT
 * Pools of threads, for Lua; also what all kinds of pools share. */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/sched/linterrupt.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/pool/lpool.h"
#include "lua/pool/lpooljob.h"
#include "lua/pool/lworker.h"

/* ---- pools ---------------------------------------------------------------------------------------------------- */

lua_Number lpool_number(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  lua_Number value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

static char *string_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *value = lua_tostring(L, -1);
  char *copy = strdup(value ? value : "");
  lua_pop(L, 1);
  return copy;
}

/* Keeps the compiled modules of the text at `index`. Without memory there are none: then workers read files. */
static void take_modules(lua_State *L, int index, struct worker_settings *settings) {
  size_t size = 0;
  const char *modules = lua_tolstring(L, index, &size);
  settings->modules = size > 0 ? malloc(size) : NULL;
  if (settings->modules) memcpy(settings->modules, modules, settings->modules_size = size);
}

static struct worker_settings *read_settings(lua_State *L, int index) {
  struct braid_message *table = lcodec_encode(L, index, 1, "settings");
  struct worker_settings *settings = calloc(1, sizeof *settings);
  if (!settings) {
    braid_message_unref(table);
    lerror_memory(L);
    return NULL;
  }
  settings->table = table;
  settings->path = string_field(L, index, "path");
  settings->cpath = string_field(L, index, "cpath");
  settings->max_jobs = (uint64_t)lpool_number(L, index, "max_jobs_per_worker");
  settings->time_limit = lpool_number(L, index, "time_limit");
  settings->core = braid_thread_core();
  settings->depth = worker_depth(sched_open(L));
  settings->memory_limit = (size_t)lpool_number(L, index, "memory_limit");
  return settings;
}

static void abort_pool(struct braid_pool *pool);

void lpool_keep(lua_State *L, struct sched *sched, struct braid_pool *pool, int settings) {
  lpool_release(sched, 0);
  lobject_fill(L, &pool->object);
  if (lua_getfield(L, settings, "name") == LUA_TSTRING)
    snprintf(pool->name, sizeof pool->name, "%s", lua_tostring(L, -1));
  lua_pop(L, 1);
  braid_object_ref(&pool->object); /* the state's reference, until the workers have ended */
  braid_list_push(&sched->pools, &pool->sibling);
  if (pool->lookout.look) braid_lookout_start(&sched->loop, &pool->lookout);
  if (braid_pool_count(pool)) return;
  pool->kind->close(pool, true);
  lerror_memory(L);
}

/* pool_new(workers, settings, modules) -> pool */
static int pool_new(lua_State *L) {
  struct sched *sched = sched_of(L);
  unsigned count = (unsigned)larg_between(L, 1, "workers", 1, INT_MAX);
  if (!lua_istable(L, 2)) return larg_error(L, 2, "settings", "a table");
  sched_check_fork(L);
  lobject_box(L, &braid_pool_class);
  interrupt_prepare();
  sched->loop.social = braid_thread_cores() > 1;
  struct worker_settings *settings = read_settings(L, 2);
  take_modules(L, 3, settings);
  loaders_collect(L, &settings->loaders);
  struct braid_thread_pool *pool = braid_thread_pool_new(count, worker_body, settings, worker_settings_free);
  if (!pool) {
    int error = errno;
    worker_settings_free(settings);
    return lerror_raise_system(L, error, "the threads could not be started");
  }
  lpool_keep(L, sched, &pool->pool, 2);
  return 1;
}

/* pool:close(cancel_pending) */
static int pool_close(lua_State *L) {
  struct braid_pool *pool = pooljob_pool(L);
  pool->kind->close(pool, lua_toboolean(L, 2));
  return 0;
}

static int join_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  return sched_stopped(end) ? sched_raise(L, sched, end) : 0;
}

static int wait_until(lua_State *L, enum braid_status (*ask)(struct braid_pool *, struct braid_wait_node *)) {
  struct sched *sched = sched_of(L);
  struct braid_pool *pool = pooljob_pool(L);
  struct braid_waiter *waiter = sched_begin(L, sched);
  if (ask(pool, &waiter->node) == BRAID_WAIT) return sched_park(L, sched, BRAID_NEVER, join_k, 0);
  sched_forget(sched);
  braid_loop_take_mail(&sched->loop); /* the replies were posted before this, so they are handled first */
  return sched_pass(L, sched, join_k, 0);
}

/* pool:join(): waits until all workers have ended. Suspends. */
static int pool_join(lua_State *L) { return wait_until(L, braid_pool_join); }

/* pool:rest(): waits until no job is queued or running, and all replies were handled. Suspends. */
static int pool_rest(lua_State *L) { return wait_until(L, braid_pool_rest); }

/* pool:submitted() -> how many jobs were ever submitted, by anybody; it only grows */
static int pool_submitted(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)braid_tally_total(pooljob_pool(L)->tally));
  return 1;
}

/* pool:over() -> whether all its workers have ended */
static int pool_over(lua_State *L) {
  lua_pushboolean(L, braid_pool_await(pooljob_pool(L), 0));
  return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/* pool:stats() -> table */
static int pool_stats(lua_State *L) {
  struct braid_pool *pool = pooljob_pool(L);
  lua_createtable(L, 0, 9);
  struct braid_pool_facts facts = braid_pool_look(pool);
  set_count(L, "workers", facts.alive);
  set_count(L, "queued", facts.queued);
  set_count(L, "running", facts.running);
  set_count(L, "done", facts.stats.done);
  set_count(L, "failed", facts.stats.failed);
  set_count(L, "cancelled", facts.stats.cancelled);
  set_count(L, "bytes_in", facts.stats.bytes_in);
  set_count(L, "bytes_out", facts.stats.bytes_out);
  lua_pushnumber(L, (lua_Number)facts.stats.busy / (lua_Number)BRAID_SECOND);
  lua_setfield(L, -2, "busy");
  return 1;
}

/* pool:pids() -> the process ids of the workers that run now */
static int pool_pids(lua_State *L) {
  enum { MOST = 4096 };
  struct braid_pool *pool = pooljob_pool(L);
  int pids[MOST];
  unsigned count = pool->kind->pids ? pool->kind->pids(pool, pids, MOST) : 0;
  lua_createtable(L, (int)count, 0);
  for (unsigned i = 0; i < count; i++) {
    lua_pushinteger(L, pids[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

/* pool:broken() -> the error that broke the pool, and its traceback; or nothing */
static int pool_broken(lua_State *L) { return pooljob_push_failure(L, pooljob_pool(L)); }

/* pool:stop(): asks all running jobs to end */
static int pool_stop(lua_State *L) {
  braid_pool_stop(pooljob_pool(L));
  return 0;
}

/* pool:abort(): refuses more jobs, and cancels those that there are */
static int pool_abort(lua_State *L) {
  abort_pool(pooljob_pool(L));
  return 0;
}

/* pool:own() -> whether the caller is a worker of this pool; whether the pool belongs to the parent process */
static int pool_own(lua_State *L) {
  lua_pushboolean(L, worker_belongs_to(sched_of(L), pooljob_pool(L)));
  lua_pushboolean(L, braid_pool_is_elsewhere(pooljob_pool(L)));
  return 2;
}

/* ---- end of the state ----------------------------------------------------------------------------------------- */

/* Waits for the workers. Those that do not end are killed, if the pool can do that. */
static bool await(struct braid_pool *pool, int64_t deadline) {
  if (braid_pool_await(pool, deadline)) return true;
  if (!pool->kind->kill || !deadline) return false;
  pool->kind->kill(pool);
  return braid_pool_await(pool, braid_clock_after(2.0));
}

static void abort_pool(struct braid_pool *pool) {
  pool->kind->close(pool, true);
  pool->kind->stop(pool);
}

void lpool_stop_all(struct sched *sched) {
  for (struct braid_list *at = sched->pools.next; at != &sched->pools; at = at->next)
    abort_pool(braid_container(at, struct braid_pool, sibling));
}

/* Releases the pools whose workers have ended. With a deadline it first waits for the others, and kills workers. */
void lpool_release(struct sched *sched, int64_t deadline) {
  if (deadline) pooljob_orphan(sched);
  struct braid_list *next;
  for (struct braid_list *at = sched->pools.next; at != &sched->pools; at = next) {
    next = at->next;
    struct braid_pool *pool = braid_container(at, struct braid_pool, sibling);
    if (!await(pool, deadline)) continue;
    braid_list_remove(at);
    if (pool->lookout.look) braid_lookout_stop(&pool->lookout);
    braid_object_unref(&pool->object);
  }
}

/* pools() -> the names of this state's pools whose workers have not all ended; "" for a pool without a name */
static int lua_pools(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_newtable(L);
  lua_Integer count = 0;
  for (struct braid_list *at = sched->pools.next; at != &sched->pools; at = at->next) {
    struct braid_pool *pool = braid_container(at, struct braid_pool, sibling);
    if (braid_pool_await(pool, 0)) continue;
    lua_pushstring(L, pool->name);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

/* ---- cores ---------------------------------------------------------------------------------------------------- */

/* cpu_count() -> how many cores this process may use, with regard to affinity and quota */
static int cpu_count(lua_State *L) {
  lua_pushinteger(L, braid_thread_usable());
  return 1;
}

static const luaL_Reg methods[] = {
    {"submit", pooljob_submit},    {"submit_frozen", pooljob_submit_frozen},
    {"close", pool_close},         {"join", pool_join},
    {"stats", pool_stats},         {"broken", pool_broken},
    {"stop", pool_stop},           {"own", pool_own},
    {"pids", pool_pids},           {"rest", pool_rest},
    {"submitted", pool_submitted}, {"over", pool_over},
    {"abort", pool_abort},         {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"pool_new", pool_new}, {"pools", lua_pools}, {"cpu_count", cpu_count}, {NULL, NULL}};

void lpool_open(lua_State *L) {
  sched_register(L, functions);
  lobject_class(L, &braid_pool_class, methods);
  lua_setfield(L, -2, "Pool");
}
