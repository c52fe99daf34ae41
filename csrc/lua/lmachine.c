/* SPDX-License-Identifier: MIT
 * Facts about the machine and this thread, for measurements, reports and progress bars. The state's own thread; nothing
 * blocks. */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <termios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <limits.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

/* thread_time() -> seconds of processor time that the calling thread has used */
static int thread_time(lua_State *L) {
  struct timespec used = {0};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  lua_pushnumber(L, (lua_Number)used.tv_sec + (lua_Number)used.tv_nsec / (lua_Number)BRAID_SECOND);
  return 1;
}

/* wall_time() -> seconds since 1970, with their fraction */
static int wall_time(lua_State *L) {
  struct timespec now = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / (lua_Number)BRAID_SECOND);
  return 1;
}

/* children_time() -> seconds of processor time of all child processes that have ended and were waited for */
static int children_time(lua_State *L) {
  struct rusage used;
  getrusage(RUSAGE_CHILDREN, &used);
  lua_Number micro = (lua_Number)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  lua_pushnumber(L, (lua_Number)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + micro * 1e-6);
  return 1;
}

/* idle_time() -> seconds that this state's loop has slept because nothing was ready */
static int idle_time(lua_State *L) {
  lua_pushnumber(L, (lua_Number)sched_of(L)->loop.idle / (lua_Number)BRAID_SECOND);
  return 1;
}

/* longest_turn() -> the longest time in seconds between two polls of this state's loop since the last call: so long it
 * was held */
static int longest_turn(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_pushnumber(L, (lua_Number)sched->longest / (lua_Number)BRAID_SECOND);
  sched->longest = 0;
  return 1;
}

/* random_hex(digits) -> so many hexadecimal digits from the system's generator, not all of them 0 */
static int random_hex(lua_State *L) {
  enum { MOST = 32 };
  unsigned char bytes[MOST / 2];
  char text[MOST + 1];
  int digits = (int)larg_between(L, 1, "digits", 2, MOST), any = 0;
  while (!any) {
    if (getentropy(bytes, sizeof bytes)) lerror_raise_system(L, errno, "the system gives no random numbers");
    for (int i = 0; i < digits / 2; i++) {
      any |= bytes[i];
      snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
  }
  lua_pushlstring(L, text, (size_t)(digits / 2) * 2);
  return 1;
}

/* flush_output() -> true if all output has been written; else nil and the reason */
static int flush_output(lua_State *L) {
  int error = fflush(stdout) ? errno : 0;
  if (!error && !ferror(stdout)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error ? strerror(error) : "not all of it could be written");
  return 2;
}

/* terminal(fd) -> columns and rows of the terminal; 80, 24 if it does not tell; nil if the descriptor is no terminal */
static int terminal(lua_State *L) {
  int fd = (int)larg_between(L, 1, "fd", 0, INT_MAX);
  if (!isatty(fd)) return 0;
  struct winsize size = {0};
  bool told = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, told ? size.ws_col : 80);
  lua_pushinteger(L, told && size.ws_row > 0 ? size.ws_row : 24);
  return 2;
}

/* terminal_raw(fd) -> the terminal's settings, for terminal_restore; from now on it gives each key at once, and shows
 * none. Nil and the reason if that fails. */
static int terminal_raw(lua_State *L) {
  int fd = (int)larg_between(L, 1, "fd", 0, INT_MAX);
  struct termios before, raw;
  if (tcgetattr(fd, &before) == 0) {
    raw = before;
    raw.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= (tcflag_t) ~(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    lua_pushlstring(L, (const char *)&before, sizeof before);
    if (tcsetattr(fd, TCSAFLUSH, &raw) == 0) return 1;
  }
  int error = errno;
  lua_pushnil(L);
  lua_pushstring(L, strerror(error));
  return 2;
}

/* terminal_restore(fd, settings) */
static int terminal_restore(lua_State *L) {
  int fd = (int)larg_between(L, 1, "fd", 0, INT_MAX);
  struct termios settings;
  size_t size;
  const char *bytes = larg_string(L, 2, "settings", &size);
  if (size != sizeof settings) return larg_error(L, 2, "settings", "what terminal_raw has returned");
  memcpy(&settings, bytes, size);
  tcsetattr(fd, TCSAFLUSH, &settings);
  return 0;
}

static void set_field(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* system() -> { name, release, arch, load }; load is the average of the last minute, nil if the system has none */
static int system_facts(lua_State *L) {
  struct utsname facts;
  double load;
  lua_createtable(L, 0, 4);
  if (uname(&facts) >= 0) {
    set_field(L, "name", facts.sysname);
    set_field(L, "release", facts.release);
    set_field(L, "arch", facts.machine);
  }
  if (getloadavg(&load, 1) == 1) {
    lua_pushnumber(L, load);
    lua_setfield(L, -2, "load");
  }
  return 1;
}

static const luaL_Reg functions[] = {
    {"thread_time", thread_time},   {"wall_time", wall_time},       {"children_time", children_time},
    {"idle_time", idle_time},       {"terminal_raw", terminal_raw}, {"terminal_restore", terminal_restore},
    {"terminal", terminal},         {"flush_output", flush_output}, {"system", system_facts},
    {"longest_turn", longest_turn}, {"random_hex", random_hex},     {NULL, NULL},
};

void lmachine_open(lua_State *L) { sched_register(L, functions); }
