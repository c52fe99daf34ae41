/* SPDX-License-Identifier: MIT
 * A worker that reads standard input first waits until there is input. Only then it calls Lua's own function, which
 * locks the FILE. The state's own thread; blocks as reading does. */
#include "lua/state/lstdin.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "lua/sched/lsched.h"

#if defined(__linux__) && !defined(__GLIBC__)
#include <stdio_ext.h>
#endif

/* Whether the FILE has input in its buffer. False where its structure is not known. */
static bool has_buffered(void) {
#ifdef __GLIBC__
  return stdin->_IO_read_ptr < stdin->_IO_read_end;
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__)
  return stdin->_r > 0;
#elif defined(__linux__) /* musl */
  return __freadahead(stdin) > 0;
#else
  return false;
#endif
}

static void await_input(lua_State *L) {
  struct sched *sched = sched_open(L);
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  while (!has_buffered() && poll(&input, 1, -1) < 0 && errno == EINTR) {
    sched_look_for_stops(sched);
    sched_enter(L, sched); /* raises when the job must end */
  }
}

static bool is_stdin(lua_State *L, int index) {
  const luaL_Stream *stream = luaL_testudata(L, index, LUA_FILEHANDLE);
  return stream && stream->closef && stream->f == stdin;
}

/* Whether io.read and io.lines without a name read standard input. */
static bool is_input(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_IO_input");
  bool found = is_stdin(L, -1);
  lua_pop(L, 1);
  return found;
}

/* Calls upvalue 1, which is Lua's own function, with all arguments. */
static int call_own(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int io_read(lua_State *L) {
  if (is_input(L)) await_input(L);
  return call_own(L);
}

static int file_read(lua_State *L) {
  if (is_stdin(L, 1)) await_input(L);
  return call_own(L);
}

static int next_line(lua_State *L) {
  await_input(L);
  return call_own(L);
}

/* Wraps the iterator that Lua's own function makes, so that it waits first. */
static int lines(lua_State *L, bool from_stdin) {
  call_own(L);
  if (!from_stdin) return lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_line, 1);
  lua_replace(L, 1);
  return lua_gettop(L);
}

static int io_lines(lua_State *L) { return lines(L, lua_isnoneornil(L, 1) && is_input(L)); }

static int file_lines(lua_State *L) { return lines(L, is_stdin(L, 1)); }

/* Replaces a field of the table on the top of the stack; the old function becomes upvalue 1. */
static void replace(lua_State *L, const char *name, lua_CFunction function) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -2, name);
}

void lstdin_furnish(lua_State *L) {
  lua_getglobal(L, LUA_IOLIBNAME);
  replace(L, "read", io_read);
  replace(L, "lines", io_lines);
  luaL_getmetatable(L, LUA_FILEHANDLE);
  lua_getfield(L, -1, "__index");
  replace(L, "read", file_read);
  replace(L, "lines", file_lines);
  lua_pop(L, 3);
}
