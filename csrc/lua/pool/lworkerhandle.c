/* SPDX-License-Identifier: MIT
 * Worker processes, for Lua: makes process pools in the parent, and runs the worker in the child. A worker runs the
 * same interpreter, with a line of code that loads this library and calls `braid_work`. It never runs the user's
 * script, and does not open the module in the state of the interpreter. */
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/process/marshal.h"
#include "core/process/process_pool.h"
#include "core/process/worker_process.h"
#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/base/lfolder.h"
#include "lua/sched/linterrupt.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/base/lrelease.h"
#include "lua/pool/lpool.h"
#include "lua/pool/lworker.h"

enum {
  MOST_DEPTH = 4,         /* of nested process pools */
  MOST_SECONDS = 1 << 30, /* of a job's time limit; more means no limit */
};

/* The head of the settings for worker processes. After it: package.path and package.cpath, each with its '\0', and the
 * compiled modules. After that: the message for lua/braid/pools/worker.lua. */
struct wire_settings {
  uint64_t max_jobs, memory_limit, modules_size;
  double time_limit;
  unsigned core, depth;
};

/* ---- making pools --------------------------------------------------------------------------------------------- */

/* Writes the settings in the table at `index`, and the modules at `modules`, as bytes. Raises when memory is out. */
static void read_settings(lua_State *L, int index, int modules, struct braid_process_plan *plan) {
  size_t path_size, cpath_size, modules_size;
  const char *code = luaL_checklstring(L, modules, &modules_size);
  lua_getfield(L, index, "path");
  lua_getfield(L, index, "cpath");
  const char *path = luaL_tolstring(L, -2, &path_size), *cpath = luaL_tolstring(L, -2, &cpath_size);
  struct wire_settings head = {.max_jobs = (uint64_t)lpool_number(L, index, "max_jobs_per_worker"),
                               .memory_limit = (uint64_t)lpool_number(L, index, "memory_limit"),
                               .modules_size = modules_size,
                               .time_limit = lpool_number(L, index, "time_limit"),
                               .core = braid_thread_core(),
                               .depth = worker_depth(sched_open(L)) + 1};
  plan->settings_size = sizeof head + path_size + 1 + cpath_size + 1 + modules_size;
  plan->settings = malloc(plan->settings_size);
  if (!plan->settings) lerror_memory(L);
  char *at = plan->settings;
  memcpy(at, &head, sizeof head);
  memcpy(at + sizeof head, path, path_size + 1);
  memcpy(at + sizeof head + path_size + 1, cpath, cpath_size + 1);
  memcpy(at + sizeof head + path_size + 1 + cpath_size + 1, code, modules_size);
  lua_Number tasks = lpool_number(L, index, "tasks_per_worker");
  plan->tasks = tasks < 1 ? 1 : (unsigned)tasks; /* the Lua layer checks the number */
  plan->time_limit = head.time_limit < (double)MOST_SECONDS ? (int64_t)(head.time_limit * (double)BRAID_SECOND) : 0;
  lua_pop(L, 4);
}

/* Returns the file that this module was loaded from; NULL: it is built into the program. */
static const char *own_file(void) {
  Dl_info info;
  if (!dladdr((void *)(uintptr_t)own_file, &info) || !info.dli_fname) return NULL;
  return strstr(info.dli_fname, ".so") ? info.dli_fname : NULL;
}

/* Pushes the interpreter to run: BRAID_LUA; or this program, if it is one; or "lua5.4" from PATH. */
static const char *push_interpreter(lua_State *L, bool *own) {
  char path[4096];
  const char *chosen = getenv("BRAID_LUA");
  *own = false;
  ssize_t size = chosen ? 0 : readlink("/proc/self/exe", path, sizeof path - 1);
  if (chosen) return lua_pushstring(L, chosen);
  path[size > 0 ? size : 0] = '\0';
  const char *name = strrchr(path, '/');
  *own = (name && strncmp(name + 1, "lua", 3) == 0) || !own_file();
  return *own ? lua_pushstring(L, path) : lua_pushliteral(L, "lua5.4");
}

/* Pushes the code that a worker runs. */
static const char *push_code(lua_State *L) {
  const char *file = own_file();
  if (!file) return lua_pushliteral(L, "require 'braid.core'.work()");
  const char *folder = *file == '/' ? NULL : folder_at_start();
  return lua_pushfstring(L, "package.loadlib([==[%s%s%s]==], 'braid_work')()", folder ? folder : "", folder ? "/" : "",
                         file);
}

/* Raises when memory is out. */
static char **make_arguments(lua_State *L, bool *own) {
  const char *words[] = {push_interpreter(L, own), "-E", "-e", push_code(L)};
  enum { COUNT = sizeof words / sizeof *words };
  size_t size = (COUNT + 1) * sizeof(char *);
  for (int i = 0; i < COUNT; i++) size += strlen(words[i]) + 1;
  char **arguments = malloc(size);
  if (!arguments) lerror_memory(L);
  char *at = (char *)(arguments + COUNT + 1);
  for (int i = 0; i < COUNT; i++) {
    arguments[i] = strcpy(at, words[i]);
    at += strlen(words[i]) + 1;
  }
  arguments[COUNT] = NULL;
  lua_pop(L, 2);
  return arguments;
}

static void check_depth(lua_State *L) {
  unsigned depth = worker_depth(sched_of(L));
  if (depth < MOST_DEPTH) return;
  lerror_misuse(L,
                "process pools in workers of process pools, %d deep: does a job run the script that makes the pool? "
                "Workers need not run it: functions are sent to them",
                (int)depth + 1);
}

/* Arguments: settings, modules, plan. Fills the plan; when it raises, the plan is filled in part. */
static int make_plan(lua_State *L) {
  struct braid_process_plan *plan = lua_touserdata(L, 3);
  plan->table = lcodec_encode_across(L, 1, 1, "settings", braid_marshal_refuse);
  plan->argv = make_arguments(L, &plan->own);
  read_settings(L, 1, 2, plan);
  return 0;
}

/* process_pool_new(workers, settings, modules) -> pool */
static int process_pool_new(lua_State *L) {
  struct sched *sched = sched_of(L);
  unsigned count = (unsigned)larg_between(L, 1, "workers", 1, INT_MAX);
  if (!lua_istable(L, 2)) return larg_error(L, 2, "settings", "a table");
  check_depth(L);
  sched_check_fork(L);
  lobject_box(L, &braid_pool_class);
  struct braid_process_plan plan = {0};
  lua_pushcfunction(L, make_plan);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushlightuserdata(L, &plan);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    braid_process_plan_free(&plan);
    return lua_error(L);
  }
  sched->loop.social = braid_thread_cores() > 1;
  struct braid_pool *pool = braid_process_pool_new(count, plan);
  if (!pool) return lerror_raise_system(L, errno, "the I/O thread could not be started");
  lpool_keep(L, sched, pool, 2);
  return 1;
}

/* ---- the worker process --------------------------------------------------------------------------------------- */

/* Keeps the modules, if the parent has sent what it says. Without memory there are none: then the worker reads files.
 */
static void take_modules(struct worker_settings *settings, const char *at, const char *end, size_t size) {
  if (at > end || (size_t)(end - at) != size || size == 0) return;
  settings->modules = malloc(size);
  if (settings->modules) memcpy(settings->modules, at, settings->modules_size = size);
}

/* Called on the I/O thread. */
static struct braid_thread_pool *make_lone(const char *bytes, size_t size, struct braid_message *table,
                                           unsigned index) {
  struct wire_settings head;
  struct worker_settings *settings = calloc(1, sizeof *settings);
  if (!settings || size < sizeof head) return NULL;
  memcpy(&head, bytes, sizeof head);
  const char *path = bytes + sizeof head;
  settings->table = table;
  const char *cpath = path + strlen(path) + 1;
  settings->path = strdup(path);
  settings->cpath = strdup(cpath);
  take_modules(settings, cpath + strlen(cpath) + 1, bytes + size, (size_t)head.modules_size);
  settings->max_jobs = head.max_jobs;
  settings->memory_limit = (size_t)head.memory_limit;
  settings->time_limit = head.time_limit;
  settings->core = head.core + index;
  settings->process = true;
  settings->depth = head.depth;
  return braid_thread_pool_lone(worker_body, settings, worker_settings_free);
}

int braid_work(lua_State *L) {
  lrelease_check(L);
  interrupt_prepare();
  struct sched *sched = sched_of(L);           /* NULL: the module was not opened in this state */
  if (sched) braid_state_leave(&sched->state); /* it does nothing more */
  struct braid_thread_pool *pool = braid_worker_process_begin(make_lone);
  struct worker_settings *settings = pool->settings;
  loaders_collect(L, &settings->loaders);
  braid_thread_pool_run(pool);
  braid_worker_process_end(EXIT_SUCCESS);
}

static const luaL_Reg functions[] = {{"process_pool_new", process_pool_new}, {"work", braid_work}, {NULL, NULL}};

void lworkerhandle_open(lua_State *L) { sched_register(L, functions); }
