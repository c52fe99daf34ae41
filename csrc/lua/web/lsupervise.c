/* SPDX-License-Identifier: MIT
 * Channels are userdata that own one end, signals are the process's own. The state's own thread; nothing blocks. */
#include "lua/web/lsupervise.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/web/control_socket.h"
#include "core/web/signals.h"

#define CHANNEL "braid.channel"

struct channel {
  int fd; /* -1: closed */
};

static void push_channel(lua_State *L, int fd) {
  struct channel *channel = lua_newuserdatauv(L, sizeof *channel, 0);
  channel->fd = fd;
  luaL_setmetatable(L, CHANNEL);
}

static int push_failure(lua_State *L, int error) {
  lua_pushnil(L);
  lua_pushstring(L, strerror(error));
  return 2;
}

/* channel() -> one end, the other end's descriptor, which is the caller's: close_fd; or nil, text */
static int new_channel(lua_State *L) {
  int ends[2], error = braid_channel_open(ends);
  if (error) return push_failure(L, error);
  push_channel(L, ends[0]);
  lua_pushinteger(L, ends[1]);
  return 2;
}

/* channel_of(descriptor) -> the end that it is */
static int channel_of(lua_State *L) {
  push_channel(L, (int)luaL_checkinteger(L, 1));
  return 1;
}

static int close_fd(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

static struct channel *check(lua_State *L) { return luaL_checkudata(L, 1, CHANNEL); }

/* channel:send(text, descriptor or nil) -> true, or false when the other end has to read first; nil, text when it is
 * gone */
static int channel_send(lua_State *L) {
  const struct channel *channel = check(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size > 0 && size <= BRAID_CHANNEL_MOST, 2, "too long");
  int error = braid_channel_send(channel->fd, text, size, (int)luaL_optinteger(L, 3, -1));
  if (error && error != EAGAIN) return push_failure(L, error);
  lua_pushboolean(L, error == 0);
  return 1;
}

/* channel:receive() -> text, descriptor or nil; false when there is nothing; nil when the other end is gone */
static int channel_receive(lua_State *L) {
  const struct channel *channel = check(L);
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, BRAID_CHANNEL_MOST);
  size_t size;
  int descriptor, error = braid_channel_receive(channel->fd, room, &size, &descriptor);
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

static int channel_fd(lua_State *L) {
  lua_pushinteger(L, check(L)->fd);
  return 1;
}

static int channel_close(lua_State *L) {
  struct channel *channel = check(L);
  if (channel->fd >= 0) close(channel->fd);
  channel->fd = -1;
  return 0;
}

static const struct {
  const char *name;
  int number;
} known[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"HUP", SIGHUP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU}};

/* take_signals(names...) -> descriptor that is readable when one has come; or nil, text */
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

/* next_signal() -> the name of one that has come, or nil */
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
  braid_channel_die_with_parent();
  return 0;
}

void lsupervise_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", channel_send},   {"receive", channel_receive}, {"fd", channel_fd},
                                     {"close", channel_close}, {"__gc", channel_close},      {NULL, NULL}};
  static const luaL_Reg functions[] = {{"channel", new_channel},
                                       {"channel_of", channel_of},
                                       {"close_fd", close_fd},
                                       {"take_signals", take_signals},
                                       {"next_signal", next_signal},
                                       {"give_signals", give_signals},
                                       {"die_with_parent", die_with_parent},
                                       {NULL, NULL}};
  if (luaL_newmetatable(L, CHANNEL)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
