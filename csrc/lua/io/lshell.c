/* SPDX-License-Identifier: MIT
 * os.execute and io.popen in workers. The C library's functions do not fit there: system(3) changes the SIGINT handler
 * of the whole process while it runs, and a program that popen(3) starts would inherit the thread's blocked signals. So
 * a shell is started as braid.process starts programs. While a task waits for its end, the worker's other tasks run; a
 * cancel ends the shell. The results are the same as Lua's. Where a task cannot wait, the functions block, as Lua's do.
 * The state's own thread. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua/io/lfd.h"
#include "lua/base/lopen.h"
#include "lua/io/lprocess.h"
#include "lua/sched/lsched.h"

static const char SHELL[] = "/bin/sh";

extern char **environ;

/* ---- waiting for its end -------------------------------------------------------------------------------------- */

/* What the wait is for: the shell's own end (FREE), its end after SIGTERM (ASKED), its end after SIGKILL (KILLED). */
enum stage { FREE, ASKED, KILLED, STAGES };

static struct braid_child *child_at(lua_State *L, lua_KContext context) {
  return *(struct braid_child **)lua_touserdata(L, (int)(context / STAGES));
}

static int push_end(lua_State *L, const struct braid_child *child) {
  bool unknown = child->status == BRAID_CHILD_UNKNOWN;
  errno = unknown ? ECHILD : 0;
  return luaL_execresult(L, unknown ? -1 : child->status);
}

static int wait_k(lua_State *L, int status, lua_KContext context);

static int wait_for(lua_State *L, struct sched *sched, int box, enum stage stage) {
  lua_KContext context = (lua_KContext)box * STAGES + stage;
  struct braid_waiter *waiter = stage == FREE ? sched_begin(L, sched) : sched_begin_masked(L, sched);
  braid_child_wait(child_at(L, context), &waiter->node);
  return sched_park(L, sched, stage == ASKED ? braid_time_after(1.0) : BRAID_NEVER, wait_k, context);
}

/* After a cancel: sends SIGTERM, and a second later SIGKILL. */
static int end_early(lua_State *L, struct sched *sched, lua_KContext context) {
  enum stage stage = (enum stage)(context % STAGES);
  struct braid_child *child = child_at(L, context);
  if (child->ended || stage == KILLED) return sched_raise(L, sched, BRAID_CANCELLED);
  braid_child_kill(child, stage == FREE ? SIGTERM : SIGKILL);
  return wait_for(L, sched, (int)(context / STAGES), stage + 1);
}

static int wait_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct sched *sched = sched_open(L); /* not sched_of: the running function may be one of the io library */
  enum braid_status end = sched_end(sched);
  if (context % STAGES == FREE && !sched_stopped(end)) return push_end(L, child_at(L, context));
  return end_early(L, sched, context);
}

/* Waits for the child whose box is at `box`. Returns the same results as Lua. Suspends if the task can wait. */
static int await(lua_State *L, struct sched *sched, int box) {
  lua_KContext context = (lua_KContext)box * STAGES + FREE;
  struct braid_child *child = child_at(L, context);
  if (!child->ended && sched_may_begin(L, sched)) return wait_for(L, sched, box, FREE);
  if (!child->ended && sched_may_wait(L, sched)) return end_early(L, sched, context);
  braid_child_await(child);
  return push_end(L, child);
}

/* ---- os.execute ----------------------------------------------------------------------------------------------- */

static int start(lua_State *L, const char *command, const int stdio[3], struct braid_child **child) {
  char shell[] = "sh", option[] = "-c";
  char *argv[] = {shell, option, (char *)(uintptr_t)command, NULL};
  struct braid_child_plan plan = {
      .file = SHELL, .argv = argv, .environment = environ, .stdio = {stdio[0], stdio[1], stdio[2]}, .plain = true};
  return braid_child_start(process_children(L), &plan, child);
}

/* os.execute(command) -> true or nil, "exit" or "signal", number. Without a command: whether there is a shell.
 * Suspends.
 */
static int os_execute(lua_State *L) {
  static const int stdio[] = {0, 1, 2};
  struct sched *sched = sched_of(L);
  const char *command = luaL_optstring(L, 1, NULL);
  if (!command) {
    lua_pushboolean(L, access(SHELL, X_OK) == 0);
    return 1;
  }
  if (braid_loop_is_fork) return luaL_execresult(L, system(command)); /* it has one thread only, and no loop */
  sched_enter(L, sched);
  lua_settop(L, 1);
  struct braid_child **child = process_box(L);
  int error = start(L, command, stdio, child);
  if (!error) return await(L, sched, 2);
  errno = 0;
  return luaL_execresult(L, 127 << 8); /* the same status as system(3)'s */
}

/* ---- io.popen ------------------------------------------------------------------------------------------------- */

static bool in_finalizer(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) && ar.name && strcmp(ar.name, "__gc") == 0;
}

/* The io library calls it to close a file. The file's user value 1 is the box of the child. Suspends. But a finalizer
 * does not wait: the child lives on, and the loop reaps it. */
static int close_pipe(lua_State *L) {
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  fclose(stream->f);
  if (in_finalizer(L)) return 0;
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, 1);
  return await(L, sched_open(L), 2);
}

/* Opens our end of the pipe and starts the child with the other one. 0 or an error number. */
static int open_pipe(lua_State *L, luaL_Stream *stream, const char *mode, struct braid_child **child) {
  int ends[2], stdio[] = {0, 1, 2};
  int error = lfd_pipe(ends);
  if (error) return error;
  bool reads = *mode == 'r';
  int ours = ends[reads ? 0 : 1], theirs = ends[reads ? 1 : 0];
  stdio[reads ? 1 : 0] = theirs;
  stream->f = fdopen(ours, mode);
  error = stream->f ? start(L, lua_tostring(L, 1), stdio, child) : errno;
  close(theirs);
  if (error && stream->f) fclose(stream->f);
  if (error && !stream->f) close(ours);
  return error;
}

/* io.popen(command, mode) -> file */
static int io_popen(lua_State *L) {
  const char *command = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
  luaL_argcheck(L, (*mode == 'r' || *mode == 'w') && mode[1] == '\0', 2, "invalid mode");
  sched_check_fork(L);
  struct braid_child **child = process_box(L); /* made before the file: so the file's finalizer runs first */
  luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 1);
  stream->closef = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, 1);
  errno = open_pipe(L, stream, mode, child);
  if (errno) return luaL_fileresult(L, 0, command);
  stream->closef = close_pipe;
  return 1;
}

/* ---- the worker's state --------------------------------------------------------------------------------------- */

static void replace(lua_State *L, const char *library, const luaL_Reg *function) {
  lua_getglobal(L, library);
  if (lua_istable(L, -1)) sched_register(L, function);
  lua_pop(L, 1);
}

void lshell_open(lua_State *L) {
  static const luaL_Reg execute[] = {{"execute", os_execute}, {NULL, NULL}};
  static const luaL_Reg popen[] = {{"popen", io_popen}, {NULL, NULL}};
  if (!sched_open(L)->worker) return; /* it is the script's state */
  replace(L, LUA_OSLIBNAME, execute);
  replace(L, LUA_IOLIBNAME, popen);
}
