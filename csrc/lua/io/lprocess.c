/* SPDX-License-Identifier: MIT
 * Programs for Lua: userdata "braid.child", made by child_start. It is a box for a child of core/process/child.h. If
 * the box is collected while the program runs, the child lives on. lua/braid/io/process.lua has checked the arguments.
 */
#include "lua/io/lprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/limit.h"
#include "core/process/terminal.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/io/lfd.h"
#include "lua/base/lopen.h"
#include "lua/base/lregistry.h"
#include "lua/sched/lsched.h"

#define METATABLE "braid.child"

extern char **environ;

static const char CHILDREN; /* its address is the registry key of the state's struct braid_children */

struct box {
  struct braid_child *child;
};

static struct braid_child *self(lua_State *L) {
  struct box *box = larg_object(L, 1, METATABLE);
  if (!box->child) lerror_raise(L, "closed", "the Lua state that started this process is closing");
  return box->child;
}

static int children_gc(lua_State *L) {
  braid_children_term(lua_touserdata(L, 1));
  return 0;
}

/* Pushes it. */
static struct braid_children *new_children(lua_State *L) {
  struct braid_children *children = lua_newuserdatauv(L, sizeof *children, 0);
  braid_children_init(children, &sched_open(L)->loop);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, children_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CHILDREN);
  return children;
}

struct braid_children *process_children(lua_State *L) {
  bool made = lua_rawgetp(L, LUA_REGISTRYINDEX, &CHILDREN) == LUA_TUSERDATA;
  struct braid_children *children = made ? lua_touserdata(L, -1) : new_children(L);
  lua_pop(L, made ? 1 : 2);
  return children;
}

struct braid_child **process_box(lua_State *L) {
  struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->child = NULL;
  lregistry_know(L, METATABLE); /* io.popen of a worker can be the first to need it */
  luaL_setmetatable(L, METATABLE);
  return &box->child;
}

/* ---- starting ------------------------------------------------------------------------------------------------- */

/* The stack indices of the arguments. */
enum { ARGV = 1, ENVIRONMENT, DIRECTORY, STDIN, GROUP = STDIN + 3, CLEAR, PATH, PASSED, TERMINAL, USER, BOXES };

/* Pushes an array for `count` strings and a final NULL. */
static char **push_strings(lua_State *L, size_t count) { return lua_newuserdatauv(L, (count + 1) * sizeof(char *), 0); }

/* The cast removes const: posix_spawn does not write to the strings. */
static char *string_at(lua_State *L, int index) { return (char *)(uintptr_t)lua_tostring(L, index); }

/* Pushes the list at ARGV in the form of exec. The list keeps the strings alive. */
static char **push_arguments(lua_State *L) {
  size_t count = lua_rawlen(L, ARGV);
  char **strings = push_strings(L, count);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, ARGV, (lua_Integer)i + 1);
    strings[i] = string_at(L, -1);
    lua_pop(L, 1);
  }
  strings[count] = NULL;
  return strings;
}

/* Pushes our environment, or an empty one, with the changes at ENVIRONMENT: name -> "name=value", or false to remove
 * it.
 */
static char **push_environment(lua_State *L) {
  static char *const nothing[] = {NULL};
  char *const *inherited = lua_toboolean(L, CLEAR) ? nothing : environ;
  size_t count = 0, filled = 0;
  while (inherited[count]) count++;
  lua_pushnil(L);
  while (lua_next(L, ENVIRONMENT)) {
    count++;
    lua_pop(L, 1);
  }
  char **strings = push_strings(L, count);
  for (char *const *entry = inherited; *entry; entry++) {
    lua_pushlstring(L, *entry, strcspn(*entry, "="));
    if (lua_rawget(L, ENVIRONMENT) == LUA_TNIL) strings[filled++] = *entry;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, ENVIRONMENT)) {
    if (lua_toboolean(L, -1)) strings[filled++] = string_at(L, -1);
    lua_pop(L, 1);
  }
  strings[filled] = NULL;
  return strings;
}

/* Pushes an array of the numbers at PASSED. */
static const int *push_passed(lua_State *L, int *count) {
  *count = (int)lua_rawlen(L, PASSED);
  int *numbers = lua_newuserdatauv(L, ((size_t)*count + 1) * sizeof *numbers, 0);
  for (int i = 0; i < *count; i++) {
    lua_rawgeti(L, PASSED, i + 1);
    numbers[i] = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  return numbers;
}

/* Looks for the program in the PATH that it is given, if that is not ours. 0 or an error number. */
static int find_program(lua_State *L, struct braid_child_plan *plan, char *file, size_t size) {
  if (lua_isnil(L, PATH) || strchr(plan->argv[0], '/')) return 0;
  plan->file = file;
  return braid_child_find(plan->argv[0], lua_tostring(L, PATH), file, size);
}

/* The descriptors that become the child's 0, 1 and 2. */
struct stdio {
  int child[3];
  bool ours[3]; /* close it after the start */
};

/* Opens what becomes the child's descriptor `which`. If it is a pipe, `descriptor` gets our end. 0 or an error number.
 */
static int open_end(lua_State *L, struct stdio *stdio, int which, struct descriptor *descriptor) {
  int index = STDIN + which, ends[2];
  if (lua_isinteger(L, index)) {
    stdio->child[which] = (int)lua_tointeger(L, index);
    return 0;
  }
  const char *mode = lua_tostring(L, index);
  if (strcmp(mode, "stdout") == 0) {
    stdio->child[which] = stdio->child[1];
    return 0;
  }
  stdio->ours[which] = true;
  if (strcmp(mode, "null") == 0) {
    do stdio->child[which] = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (stdio->child[which] < 0 && braid_limit_raised());
    return stdio->child[which] < 0 ? errno : 0;
  }
  int error = lfd_pipe(ends);
  if (error) return error;
  stdio->child[which] = ends[which == 0 ? 0 : 1];
  lfd_adopt(descriptor, ends[which == 0 ? 1 : 0]);
  return 0;
}

static int open_ends(lua_State *L, struct stdio *stdio, struct descriptor *descriptors[3]) {
  int error = 0;
  if (!lua_isnil(L, TERMINAL)) return 0;
  for (int i = 0; i < 3 && !error; i++) error = open_end(L, stdio, i, descriptors[i]);
  return error;
}

static void close_ends(const struct stdio *stdio) {
  for (int i = 0; i < 3; i++)
    if (stdio->ours[i] && stdio->child[i] >= 0) close(stdio->child[i]);
}

/* Pushes the results of child_start: nil for each descriptor that is no pipe. */
static int push_started(lua_State *L) {
  lua_settop(L, BOXES + 3);
  for (int i = 0; i < 3; i++) {
    if (lua_isnil(L, TERMINAL) && strcmp(lua_tostring(L, STDIN + i), "pipe") == 0) continue;
    lua_pushnil(L);
    lua_replace(L, BOXES + 1 + i);
  }
  return 4;
}

static int push_start_error(lua_State *L, int error) {
  lua_rawgeti(L, ARGV, 1);
  if (lua_isnil(L, DIRECTORY))
    lua_pushfstring(L, "cannot start \"%s\"", lua_tostring(L, -1));
  else
    lua_pushfstring(L, "cannot start \"%s\" in \"%s\"", lua_tostring(L, -1), lua_tostring(L, DIRECTORY));
  return lerror_system(L, error, lua_tostring(L, -1));
}

static int push_user_error(lua_State *L, int error) {
  if (error != ENOENT) return lerror_system(L, error, lua_pushfstring(L, "the user \"%s\"", lua_tostring(L, USER)));
  lua_pushnil(L);
  lerror_push(L, "system", "there is no user \"%s\"", lua_tostring(L, USER));
  return 2;
}

/* child_start(argv, environment, directory | nil, stdin, stdout, stderr, group, clear, path | nil, passed, terminal |
 * nil, user | nil) -> child, then for each of stdin, stdout and stderr our end of its pipe, or nil | nil, err. Each of
 * the three is "pipe", "null" or a descriptor's number; stderr may be "stdout". `clear`: the environment is only what
 * is given. `path`: where to look for the program; nil: in our PATH. `passed`: a list of descriptors that it gets, too.
 * `terminal`: a path; it takes the place of the three. `user`: as whom it runs; nil: as this process. */
static int child_start(lua_State *L) {
  char file[PATH_MAX];
  sched_check_fork(L);
  lua_settop(L, USER);
  struct braid_child **child = process_box(L);
  struct descriptor *descriptors[3];
  for (int i = 0; i < 3; i++) descriptors[i] = lfd_new(L);
  struct braid_child_plan plan = {.argv = push_arguments(L),
                                  .environment = push_environment(L),
                                  .directory = lua_tostring(L, DIRECTORY),
                                  .terminal = lua_tostring(L, TERMINAL),
                                  .group = lua_toboolean(L, GROUP)};
  plan.passed = push_passed(L, &plan.passed_count);
  struct stdio stdio = {.child = {-1, -1, -1}};
  struct braid_user user;
  int error = lua_isnil(L, USER) ? 0 : braid_user_find(lua_tostring(L, USER), &user);
  if (error) return push_user_error(L, error);
  if (!lua_isnil(L, USER)) plan.user = &user;
  error = find_program(L, &plan, file, sizeof file);
  if (!error) error = open_ends(L, &stdio, descriptors);
  memcpy(plan.stdio, stdio.child, sizeof plan.stdio);
  if (!error) error = braid_child_start(process_children(L), &plan, child);
  close_ends(&stdio);
  if (!error) return push_started(L);
  for (int i = 0; i < 3; i++) lfd_close(descriptors[i]);
  return push_start_error(L, error);
}

/* terminal_open(rows, columns) -> descriptor, path of the program's side | nil, err. */
static int terminal_open(lua_State *L) {
  char path[BRAID_TERMINAL_PATH];
  int rows = (int)larg_between(L, 1, "rows", 1, USHRT_MAX), columns = (int)larg_between(L, 2, "columns", 1, USHRT_MAX);
  struct descriptor *descriptor = lfd_new(L);
  int fd = braid_terminal_open(rows, columns, path);
  if (fd < 0) return lerror_system(L, -fd, "a terminal");
  lfd_adopt(descriptor, fd);
  lua_pushstring(L, path);
  return 2;
}

/* ---- methods -------------------------------------------------------------------------------------------------- */

/* pid() -> the process id. */
static int child_pid(lua_State *L) {
  lua_pushinteger(L, self(L)->pid);
  return 1;
}

static int push_end(lua_State *L, const struct braid_child *child) {
  if (child->status == BRAID_CHILD_UNKNOWN) {
    lua_pushnil(L);
    lerror_push(L, "system", "process %d has ended, but its status was taken by somebody else (is SIGCHLD ignored?)",
                (int)child->pid);
    return 2;
  }
  lua_pushboolean(L, 1);
  if (WIFSIGNALED(child->status)) {
    lua_pushnil(L);
    lua_pushinteger(L, WTERMSIG(child->status));
    return 3;
  }
  lua_pushinteger(L, WEXITSTATUS(child->status));
  return 2;
}

static int wait_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? push_end(L, self(L)) : lerror_return(L, end, "process:wait");
}

/* wait(timeout, masked) -> true, exit code | true, nil, signal | nil, err. Suspends. A masked wait cannot be cancelled.
 */
static int child_wait(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct braid_child *child = self(L);
  int64_t deadline = larg_timeout(L, 2);
  bool masked = lua_toboolean(L, 3);
  if (child->ended) return push_end(L, child);
  if (deadline == LARG_ONCE) return lerror_return(L, BRAID_TIMEOUT, "process:wait");
  struct braid_waiter *waiter = masked ? sched_begin_masked(L, sched) : sched_begin(L, sched);
  braid_child_wait(child, &waiter->node);
  return sched_park(L, sched, deadline, wait_k, 0);
}

/* kill(signal number) -> true; false if the child, and all of its group, have ended | nil, err. */
static int child_kill(lua_State *L) {
  struct braid_child *child = self(L);
  sched_check_fork(L); /* a forked copy of this process does not own the child */
  int error = braid_child_kill(child, (int)larg_between(L, 2, "signal", 0, INT_MAX));
  if (error && error != ESRCH) return lerror_system(L, error, "process:kill");
  lua_pushboolean(L, error == 0);
  return 1;
}

/* running() -> whether it has not ended yet. */
static int child_running(lua_State *L) {
  lua_pushboolean(L, !self(L)->ended);
  return 1;
}

/* doom(): when the child ends, the rest of its process group is killed. */
static int child_doom(lua_State *L) {
  braid_child_doom(self(L));
  return 0;
}

static int child_gc(lua_State *L) {
  struct box *box = lua_touserdata(L, 1);
  if (box->child) braid_child_release(box->child);
  box->child = NULL;
  return 0;
}

/* ---- the module ----------------------------------------------------------------------------------------------- */

/* Pushes a table: name -> number, for the signals of POSIX. */
static void push_signals(lua_State *L) {
  static const struct {
    const char *name;
    int number;
  } signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT},  {"KILL", SIGKILL},
                 {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},  {"TERM", SIGTERM},
                 {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"WINCH", SIGWINCH}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    lua_pushinteger(L, signals[i].number);
    lua_setfield(L, -2, signals[i].name);
  }
}

/* file_number(file of the io library) -> its descriptor; nothing if it is closed. Flushes the file. */
static int file_number(lua_State *L) {
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  if (!stream->closef) return 0;
  if ((fcntl(fileno(stream->f), F_GETFL) & O_ACCMODE) != O_RDONLY) fflush(stream->f);
  lua_pushinteger(L, fileno(stream->f));
  return 1;
}

void lprocess_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"pid", child_pid},   {"wait", child_wait},       {"kill", child_kill},
                                     {"doom", child_doom}, {"running", child_running}, {"__gc", child_gc},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"child_start", child_start}, {"terminal_open", terminal_open}, {"file_number", file_number}, {NULL, NULL}};
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
  push_signals(L);
  lua_setfield(L, -2, "signals");
}
