/* SPDX-License-Identifier: MIT
 * A copy ends by _exit: handlers that are registered with atexit belong to the worker. */
#include "lua/sched/lcopy.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Only tries the lock of stdout: another thread may hold it while it waits for a slow reader. */
static void flush(void) {
  if (ftrylockfile(stdout)) return;
  fflush(stdout);
  funlockfile(stdout);
}

static void watch_forks(void) { pthread_atfork(flush, NULL, NULL); }

void lcopy_prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
}

void lcopy_end(int status) {
  fflush(stdout);
  _exit(status);
}

void lcopy_end_job(lua_State *L, bool ok) {
  if (!ok) fprintf(stderr, "braid: a process that a job forked ends with an error: %s\n", luaL_tolstring(L, -1, NULL));
  lcopy_end(ok ? EXIT_SUCCESS : EXIT_FAILURE);
}

int lcopy_exit_status(lua_State *L) {
  if (lua_isboolean(L, 1)) return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}
