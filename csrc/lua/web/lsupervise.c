/* SPDX-License-Identifier: MIT
 * Control sockets and signals, for a server's supervisor and its workers. A control socket is a userdata that owns one
 * end. Signals belong to the process. The state's own thread; nothing blocks. */
#include "lua/web/lsupervise.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/web/control_socket.h"
#include "core/web/signals.h"

#define CONTROL_SOCKET "braid.control_socket"

struct control_socket {
  int fd; /* -1: it is closed */
};

static void push_control_socket(lua_State *L, int fd) {
  struct control_socket *control = lua_newuserdatauv(L, sizeof *control, 0);
  control->fd = fd;
  luaL_setmetatable(L, CONTROL_SOCKET);
}

static int push_failure(lua_State *L, int error) {
  lua_pushnil(L);
  lua_pushstring(L, strerror(error));
  return 2;
}

/* control_socket() -> one end, and the descriptor of the other end, which the caller must close with close_fd; or nil,
 * text */
static int new_control_socket(lua_State *L) {
  int ends[2], error = braid_control_socket_open(ends);
  if (error) return push_failure(L, error);
  push_control_socket(L, ends[0]);
  lua_pushinteger(L, ends[1]);
  return 2;
}

/* control_socket_of(descriptor) -> a control socket with this end */
static int control_socket_of(lua_State *L) {
  push_control_socket(L, (int)luaL_checkinteger(L, 1));
  return 1;
}

static int close_fd(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

static struct control_socket *check(lua_State *L) { return luaL_checkudata(L, 1, CONTROL_SOCKET); }

/* control:send(text, descriptor or nil) -> true; false when the other end must read first; nil, text when it has
 * closed */
static int control_socket_send(lua_State *L) {
  const struct control_socket *control = check(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size > 0 && size <= BRAID_CONTROL_SOCKET_MOST, 2, "too long");
  int error = braid_control_socket_send(control->fd, text, size, (int)luaL_optinteger(L, 3, -1));
  if (error && error != EAGAIN) return push_failure(L, error);
  lua_pushboolean(L, error == 0);
  return 1;
}

/* control:receive() -> text, descriptor or nil; false when there is none; nothing when the other end has closed */
static int control_socket_receive(lua_State *L) {
  const struct control_socket *control = check(L);
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, BRAID_CONTROL_SOCKET_MOST);
  size_t size;
  int descriptor, error = braid_control_socket_receive(control->fd, room, &size, &descriptor);
  if (error == EAGAIN) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (error || size == 0) return 0;
  luaL_pushresultsize(&buffer, size);
  if (descriptor < 0) return 1;
  lua_pushinteger(L, descriptor);
  return 2;
}

static int control_socket_fd(lua_State *L) {
  lua_pushinteger(L, check(L)->fd);
  return 1;
}

static int control_socket_close(lua_State *L) {
  struct control_socket *control = check(L);
  if (control->fd >= 0) close(control->fd);
  control->fd = -1;
  return 0;
}

static const struct {
  const char *name;
  int number;
} known[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"HUP", SIGHUP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU}};

/* take_signals(names...) -> a descriptor that is readable when a signal has come; or nil, text */
static int take_signals(lua_State *L) {
  int numbers[BRAID_SIGNALS_MOST], count = lua_gettop(L), fd;
  luaL_argcheck(L, count <= BRAID_SIGNALS_MOST, count, "too many");
  for (int i = 0; i < count; i++) {
    numbers[i] = 0;
    for (size_t j = 0; j < sizeof known / sizeof *known; j++)
      if (strcmp(known[j].name, luaL_checkstring(L, i + 1)) == 0) numbers[i] = known[j].number;
    luaL_argcheck(L, numbers[i] != 0, i + 1, "not a signal that can be taken");
  }
  int error = braid_signals_open(numbers, (size_t)count, &fd);
  if (error) return push_failure(L, error);
  lua_pushinteger(L, fd);
  return 1;
}

/* next_signal() -> the name of a signal that has come, or nothing */
static int next_signal(lua_State *L) {
  int number = braid_signals_next();
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (known[i].number != number) continue;
    lua_pushstring(L, known[i].name);
    return 1;
  }
  return 0;
}

static int give_signals(lua_State *L) {
  (void)L;
  braid_signals_close();
  return 0;
}

static int die_with_parent(lua_State *L) {
  (void)L;
  braid_control_socket_die_with_parent();
  return 0;
}

void lsupervise_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", control_socket_send},  {"receive", control_socket_receive},
                                     {"fd", control_socket_fd},      {"close", control_socket_close},
                                     {"__gc", control_socket_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"control_socket", new_control_socket},
                                       {"control_socket_of", control_socket_of},
                                       {"close_fd", close_fd},
                                       {"take_signals", take_signals},
                                       {"next_signal", next_signal},
                                       {"give_signals", give_signals},
                                       {"die_with_parent", die_with_parent},
                                       {NULL, NULL}};
  if (luaL_newmetatable(L, CONTROL_SOCKET)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
