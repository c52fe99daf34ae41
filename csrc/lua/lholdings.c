/* SPDX-License-Identifier: MIT
 * What this state and this process hold, for metrics, and for tests that nothing is left: jobs, tasks, deadlines,
 * locks; descriptors, threads, child processes. The state's own thread; reads /proc. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

/* state_holdings() -> the number of jobs that are not home, of deadlines, and of locks that tasks hold */
static int state_holdings(lua_State *L) {
  struct sched *sched = sched_of(L);
  int locks = 0;
  for (const struct braid_list *at = sched->held.next; at != &sched->held; at = at->next) locks++;
  lua_pushinteger(L, sched->jobs);
  lua_pushinteger(L, (lua_Integer)sched->loop.sleepers.count + sched->loop.alarms.count);
  lua_pushinteger(L, locks);
  return 3;
}

struct counts {
  lua_Integer pending, running;
};

static void count_task(struct task *task, void *context) {
  struct counts *counts = context;
  if (tree_is_guest(task)) return;
  if (task->waiter.state == FUTURE_PENDING)
    counts->pending++;
  else
    counts->running++;
}

/* task_counts() -> the number of tasks that have not begun, and of those that have */
static int task_counts(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct counts counts = {0};
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, count_task, &counts);
  lua_pushinteger(L, counts.pending);
  lua_pushinteger(L, counts.running);
  return 2;
}

/* proc_names(path) -> the names in a folder of /proc; nil: there is none. (If
 * memory is out, the folder stays open: this is for tests.) */
static int proc_names(lua_State *L) {
  DIR *folder = opendir(larg_string(L, 1, "path", NULL));
  if (!folder) return 0;
  lua_newtable(L);
  for (const struct dirent *entry; (entry = readdir(folder));) {
    if (*entry->d_name == '.') continue;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  closedir(folder);
  return 1;
}

/* proc_link(path) -> where a link of /proc leads; nil: there is none */
static int proc_link(lua_State *L) {
  char target[4096];
  ssize_t size = readlink(larg_string(L, 1, "path", NULL), target, sizeof target);
  if (size < 0) return 0;
  lua_pushlstring(L, target, (size_t)size);
  return 1;
}

/* pause(seconds): blocks the thread, whatever the loop's clock says */
static int pause_thread(lua_State *L) {
  double seconds = larg_number(L, 1, "seconds");
  struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&left, NULL);
  return 0;
}

static const luaL_Reg functions[] = {
    {"state_holdings", state_holdings}, {"task_counts", task_counts}, {"proc_names", proc_names},
    {"proc_link", proc_link},           {"pause", pause_thread},      {NULL, NULL}};

void lholdings_open(lua_State *L) { sched_register(L, functions); }
