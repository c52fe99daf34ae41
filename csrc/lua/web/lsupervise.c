/* SPDX-License-Identifier: MIT
 * Control sockets and signals, for a server's supervisor and its workers. A control socket is a userdata that owns one
 * end. The state's own thread; nothing blocks. */
#include "lua/web/lsupervise.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/net/socket.h"
#include "core/process/user.h"
#include "core/web/control_socket.h"
#include "core/web/notify.h"
#include "core/web/term_guard.h"
#include "lua/base/larg.h"

#define CONTROL_SOCKET "braid.control_socket"
#define TERM_GUARD "braid.term_guard"

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

/* control_listen() -> descriptor, name; or nil, text */
static int control_listen(lua_State *L) {
  char name[BRAID_CONTROL_SOCKET_NAME];
  int fd, error = braid_control_socket_listen(&fd, name);
  if (error) return push_failure(L, error);
  lua_pushinteger(L, fd);
  lua_pushstring(L, name);
  return 2;
}

/* control_accept(descriptor) -> a control socket, the worker's process; false when nobody has connected; or nil, text
 */
static int control_accept(lua_State *L) {
  int end, pid, error = braid_control_socket_accept((int)luaL_checkinteger(L, 1), &end, &pid);
  if (error == EAGAIN) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (error) return push_failure(L, error);
  push_control_socket(L, end);
  lua_pushinteger(L, pid);
  return 2;
}

/* control_connect(name) -> a control socket; or nil, text */
static int control_connect(lua_State *L) {
  int end, error = braid_control_socket_connect(luaL_checkstring(L, 1), &end);
  if (error) return push_failure(L, error);
  push_control_socket(L, end);
  return 1;
}

/* kill(pid, signal) -> whether there is such a process of this user */
static int send_signal(lua_State *L) {
  lua_pushboolean(L, kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)) == 0);
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

/* ---- the guard ------------------------------------------------------------------------------------------------ */

/* term_guard(seconds) -> guard | nil, text: ends this process so long after SIGTERM, unless guard:close() comes first
 */
static int term_guard(lua_State *L) {
  lua_Number seconds = larg_number(L, 1, "seconds");
  struct braid_term_guard **guard = lua_newuserdatauv(L, sizeof *guard, 0);
  *guard = NULL;
  luaL_setmetatable(L, TERM_GUARD);
  int error = braid_term_guard_start(guard, seconds < 1e9 ? (int64_t)(seconds * 1e9) : INT64_MAX / 2);
  return error ? push_failure(L, error) : 1;
}

static int term_guard_close(lua_State *L) {
  struct braid_term_guard **guard = luaL_checkudata(L, 1, TERM_GUARD);
  if (*guard) braid_term_guard_stop(*guard);
  *guard = NULL;
  return 0;
}

/* accept(listener) -> descriptor of a connection; false when none waits; nil, text */
static int accept_one(lua_State *L) {
  struct braid_address peer;
  int fd = braid_socket_accept((int)luaL_checkinteger(L, 1), &peer);
  if (fd < 0 && fd != -EAGAIN) return push_failure(L, -fd);
  if (fd < 0)
    lua_pushboolean(L, 0);
  else
    lua_pushinteger(L, fd);
  return 1;
}

/* notify(text): tells the service manager, if there is one -> true | nil, text */
static int notify(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  int error = braid_notify(text, size);
  if (error) return push_failure(L, error);
  lua_pushboolean(L, 1);
  return 1;
}

/* find_user(user or nil, group or nil) -> the user as bytes | nil, text. The group is the process's, besides those that
 * the user has; without a user it is the only one. */
static int find_user(lua_State *L) {
  const char *name = luaL_optstring(L, 1, NULL), *group = luaL_optstring(L, 2, NULL);
  struct braid_user user = {.uid = getuid(), .gid = getgid(), .group_count = 0};
  int error = name ? braid_user_find(name, &user) : 0;
  if (!error && group) {
    error = braid_group_find(group, &user.gid);
    if (user.group_count < BRAID_USER_GROUPS) user.groups[user.group_count++] = user.gid;
  }
  if (error) return push_failure(L, error);
  lua_pushlstring(L, (const char *)&user, sizeof user);
  return 1;
}

/* drop_user(bytes, bound) -> true | nil, text: the process becomes that user for good; bound: it ends with its parent
 */
static int drop_user(lua_State *L) {
  size_t size;
  struct braid_user user;
  const char *bytes = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, size == sizeof user, 1, "a user expected");
  memcpy(&user, bytes, sizeof user);
  int error = braid_user_drop(&user, lua_toboolean(L, 2));
  if (error) return push_failure(L, error);
  lua_pushboolean(L, 1);
  return 1;
}

static void new_class(lua_State *L, const char *name, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void lsupervise_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", control_socket_send},  {"receive", control_socket_receive},
                                     {"fd", control_socket_fd},      {"close", control_socket_close},
                                     {"__gc", control_socket_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"control_listen", control_listen},
                                       {"control_accept", control_accept},
                                       {"control_connect", control_connect},
                                       {"close_fd", close_fd},
                                       {"kill", send_signal},
                                       {"term_guard", term_guard},
                                       {"accept", accept_one},
                                       {"notify", notify},
                                       {"find_user", find_user},
                                       {"drop_user", drop_user},
                                       {NULL, NULL}};
  static const luaL_Reg guard_methods[] = {
      {"close", term_guard_close}, {"__close", term_guard_close}, {"__gc", term_guard_close}, {NULL, NULL}};
  new_class(L, CONTROL_SOCKET, methods);
  new_class(L, TERM_GUARD, guard_methods);
  luaL_setfuncs(L, functions, 0);
}
