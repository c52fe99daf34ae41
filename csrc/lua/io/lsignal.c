/* SPDX-License-Identifier: MIT
 * Watches of signals as Lua holds them. Who waits for one, and how, is said in lua/braid/io/signals.lua. */
#include <lauxlib.h>
#include <string.h>

#include "core/loop/signal_watch.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

#define METATABLE "braid.signal_watch"

struct box {
  struct braid_signal_watch watch;
  bool open;
};

/* Not among them: what cannot be caught, what tells of an error of the running instruction, and what braid itself uses.
 */
static const struct {
  const char *name;
  int number;
} known[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"TERM", SIGTERM}, {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},     {"ALRM", SIGALRM},   {"CHLD", SIGCHLD}, {"CONT", SIGCONT}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU},   {"IO", SIGIO},     {"PROF", SIGPROF}, {"PIPE", SIGPIPE},
    {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH},
};
enum { KNOWN = sizeof known / sizeof *known };

static int number_of(const char *name) {
  if (strncmp(name, "SIG", 3) == 0) name += 3;
  for (int i = 0; i < KNOWN; i++)
    if (strcmp(known[i].name, name) == 0) return known[i].number;
  return 0;
}

static const char *name_of(int number) {
  for (int i = 0; i < KNOWN; i++)
    if (known[i].number == number) return known[i].name;
  return NULL;
}

static struct box *check(lua_State *L) { return larg_object(L, 1, METATABLE); }

/* signal_watch(name, ...) -> watch | nil, err */
static int signal_watch(lua_State *L) {
  uint64_t wanted = 0;
  int count = lua_gettop(L);
  for (int i = 1; i <= count; i++) {
    int number = number_of(larg_string(L, i, "name", NULL));
    if (!number) return larg_error(L, i, "name", "a signal that can be waited for, as in \"HUP\" or \"TERM\",");
    wanted |= UINT64_C(1) << number;
  }
  sched_check_fork(L);
  struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->open = false;
  luaL_setmetatable(L, METATABLE);
  int error = braid_signal_watch_open(&box->watch, wanted);
  if (error) return lerror_system(L, error, "signals");
  box->open = true;
  return 1;
}

/* watch:fd() -> the descriptor that is readable when a signal has come */
static int watch_fd(lua_State *L) {
  lua_pushinteger(L, check(L)->watch.wakeup.read_fd);
  return 1;
}

/* watch:next() -> name, or nil when none has come */
static int watch_next(lua_State *L) {
  struct box *box = check(L);
  int number = box->open ? braid_signal_watch_next(&box->watch) : 0;
  lua_pushstring(L, number ? name_of(number) : NULL);
  return 1;
}

/* watch:wake(): its descriptor is readable, without a signal */
static int watch_wake(lua_State *L) {
  struct box *box = check(L);
  if (box->open) braid_wakeup_signal(&box->watch.wakeup);
  return 0;
}

static int watch_close(lua_State *L) {
  struct box *box = check(L);
  if (box->open && !braid_loop_is_fork) braid_signal_watch_close(&box->watch); /* else the descriptor is the parent's */
  box->open = false;
  return 0;
}

void lsignal_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"fd", watch_fd},       {"next", watch_next},  {"wake", watch_wake},
                                     {"close", watch_close}, {"__gc", watch_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"signal_watch", signal_watch}, {NULL, NULL}};
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
