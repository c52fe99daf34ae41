/* SPDX-License-Identifier: MIT
 * Sockets step by step, as the system has them: for lua/braid/luasocket. They are descriptors of lfd.c with additional
 * methods. Where a call fails, its error has the error number as `code`. */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/net/names.h"
#include "core/net/socket_option.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/lfd.h"
#include "lua/io/lnet.h"
#include "lua/sched/lobject.h"

/* ---- names ---------------------------------------------------------------------------------------------------- */

static struct braid_names *names_at(lua_State *L) {
  return braid_container(lobject_check(L, 1, &braid_names_class), struct braid_names, work.object);
}

static int push_names(lua_State *L) {
  const struct braid_names *names = names_at(L);
  if (names->error) {
    lua_pushnil(L);
    lua_pushinteger(L, names->error);
    lua_pushinteger(L, names->number);
    return 3;
  }
  lua_newtable(L);
  lua_Integer count = 0;
  const char *end = names->answer.data + names->answer.size;
  for (const char *at = names->answer.data; at < end; at += strlen(at) + 1) {
    lua_pushstring(L, at);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static int names_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  return sched_stopped(end) ? sched_raise(L, sched, end) : push_names(L);
}

static const char *text_or_none(lua_State *L, int index, const char *name) {
  return lua_isnoneornil(L, index) ? NULL : larg_string(L, index, name, NULL);
}

/* names(kind, host or nil, service or nil, family, type, passive) -> list of texts, see names.h | nil, error number,
 * errno value. Suspends. */
static int ask_names(lua_State *L) {
  static const char *const kinds[] = {"addresses", "names", "host", NULL};
  static const char *const families[] = {"unspec", "inet", "inet6", NULL};
  static const int numbers[] = {AF_UNSPEC, AF_INET, AF_INET6};
  struct sched *sched = sched_of(L);
  lua_settop(L, 6);
  enum braid_names_kind kind = (enum braid_names_kind)luaL_checkoption(L, 1, NULL, kinds);
  int family = numbers[luaL_checkoption(L, 4, "unspec", families)];
  bool datagram = strcmp(luaL_optstring(L, 5, "stream"), "dgram") == 0, passive = lua_toboolean(L, 6);
  lobject_box(L, &braid_names_class);
  struct braid_names *names = braid_names_new(kind, text_or_none(L, 2, "host"), text_or_none(L, 3, "service"));
  if (!names) return lerror_memory(L);
  lobject_fill(L, &names->work.object);
  names->family = family;
  names->type = datagram ? SOCK_DGRAM : SOCK_STREAM;
  names->passive = passive;
  lua_replace(L, 1);
  lua_settop(L, 1);
  struct braid_waiter *waiter = sched_begin(L, sched);
  braid_names_start(names);
  if (braid_blocking_wait(&names->work, &waiter->node) == BRAID_WAIT)
    return sched_park(L, sched, BRAID_NEVER, names_k, 0);
  sched_forget(sched);
  return push_names(L);
}

/* ---- making, binding, connecting ------------------------------------------------------------------------------ */

static int push_outcome(lua_State *L, int error, const char *what) {
  if (error) return lerror_system(L, error, what);
  lua_pushboolean(L, 1);
  return 1;
}

/* socket_new("inet", "inet6" or "unix", "stream" or "dgram") -> descriptor | nil, err. */
static int new_socket(lua_State *L) {
  static const char *const families[] = {"inet", "inet6", "unix", NULL}, *const types[] = {"stream", "dgram", NULL};
  static const int numbers[] = {AF_INET, AF_INET6, AF_UNIX}, kinds[] = {SOCK_STREAM, SOCK_DGRAM};
  int family = numbers[luaL_checkoption(L, 1, NULL, families)], type = kinds[luaL_checkoption(L, 2, NULL, types)];
  struct descriptor *descriptor = lfd_new(L);
  int fd = braid_socket_open(family, type, 0);
  if (fd < 0) return lerror_system(L, -fd, "socket");
  lfd_adopt(descriptor, fd);
  return 1;
}

/* socket_adopt(fd) -> descriptor, which owns it. */
static int adopt(lua_State *L) {
  int fd = (int)larg_between(L, 1, "fd", 0, INT_MAX);
  lfd_adopt(lfd_new(L), fd);
  return 1;
}

/* let_go() -> fd: the descriptor is closed, but not the system's. */
static int descriptor_let_go(lua_State *L) {
  struct descriptor *descriptor = lfd_check(L, 1);
  lua_pushinteger(L, descriptor->fd);
  lfd_disown(descriptor);
  return 1;
}

/* bind(address) -> true | nil, err. */
static int descriptor_bind(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_address address = lnet_address(L, 2);
  int result = bind(descriptor->fd, (const struct sockaddr *)&address.bytes, address.size);
  return push_outcome(L, result ? errno : 0, "bind");
}

/* listen(backlog) -> true | nil, err. */
static int descriptor_listen(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  int backlog = (int)larg_between(L, 2, "backlog", INT_MIN, INT_MAX);
  return push_outcome(L, listen(descriptor->fd, backlog) ? errno : 0, "listen");
}

static int dial(int fd, const struct braid_address *address) {
  int result;
  do result = connect(fd, (const struct sockaddr *)&address->bytes, address->size);
  while (result && errno == EINTR);
  return result;
}

static int dial_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->writer);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  if (end != BRAID_OK) return lerror_return(L, end, "connect");
  return push_outcome(L, braid_socket_outcome(descriptor->fd), "connect");
}

/* dial(address, timeout) -> true | nil, err. Connects this socket. Suspends. */
static int descriptor_dial(lua_State *L) {
  struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_address address = lnet_address(L, 2);
  lua_settop(L, 3);
  struct fd_wait *writer = lfd_begin(L, &descriptor->writer, "using");
  if (!sched_may_begin(L, sched_of(L))) sched_begin(L, sched_of(L)); /* so it raises before anything is done */
  int result = dial(descriptor->fd, &address);
  if (result && errno == ECONNABORTED) result = dial(descriptor->fd, &address); /* an earlier one has failed */
  if (result == 0 || (errno != EINPROGRESS && errno != EAGAIN)) return push_outcome(L, result ? errno : 0, "connect");
  return lfd_wait(L, writer, BRAID_WRITE, "connect", dial_k);
}

/* undial() -> true | nil, err: a UDP socket that was connected is not any more. */
static int descriptor_undial(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  struct sockaddr nothing = {.sa_family = AF_UNSPEC};
  return push_outcome(L, connect(descriptor->fd, &nothing, sizeof nothing) ? errno : 0, "connect");
}

/* there() -> the peer's address | nil, err. */
static int descriptor_there(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_address address = {.size = sizeof address.bytes};
  if (getpeername(descriptor->fd, (struct sockaddr *)&address.bytes, &address.size))
    return lerror_system(L, errno, "the address of a peer");
  lnet_push_address(L, &address);
  return 1;
}

/* shut("both", "send" or "receive"): shutdown(2). */
static int descriptor_shut(lua_State *L) {
  static const char *const hows[] = {"receive", "send", "both", NULL};
  static const int numbers[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
  const struct descriptor *descriptor = lfd_check(L, 1);
  shutdown(descriptor->fd, numbers[luaL_checkoption(L, 2, NULL, hows)]);
  return 0;
}

/* ---- options -------------------------------------------------------------------------------------------------- */

/* socket_option(name) -> "flag", "number", "linger", "interface", "group", "group6", "error"; nil: there is none. */
static int option_kind(lua_State *L) {
  static const char *const kinds[] = {
      [BRAID_OPTION_UNKNOWN] = NULL,          [BRAID_OPTION_FLAG] = "flag",   [BRAID_OPTION_NUMBER] = "number",
      [BRAID_OPTION_LINGER] = "linger",       [BRAID_OPTION_GROUP] = "group", [BRAID_OPTION_GROUP6] = "group6",
      [BRAID_OPTION_INTERFACE] = "interface", [BRAID_OPTION_ERROR] = "error"};
  lua_pushstring(L, kinds[braid_socket_option_kind(larg_string(L, 1, "name", NULL))]);
  return 1;
}

/* set_option(name, number, seconds, address, interface) -> true | nil, err. */
static int descriptor_set_option(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_socket_value value = {.number = (int)luaL_optinteger(L, 3, 0),
                                     .seconds = (int)luaL_optinteger(L, 4, 0),
                                     .address = luaL_optstring(L, 5, "*"),
                                     .interface = luaL_optstring(L, 6, "*")};
  const char *name = larg_string(L, 2, "name", NULL);
  return push_outcome(L, braid_socket_option_set(descriptor->fd, name, &value), "option");
}

/* get_option(name) -> number, seconds | nil, err. */
static int descriptor_get_option(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_socket_value value = {0};
  int error = braid_socket_option_get(descriptor->fd, larg_string(L, 2, "name", NULL), &value);
  if (error) return lerror_system(L, error, "option");
  lua_pushinteger(L, value.number);
  lua_pushinteger(L, value.seconds);
  return 2;
}

/* ---- select --------------------------------------------------------------------------------------------------- */

/* A select: what it asks for, and its watches while it waits. */
struct selection {
  size_t count;
  struct fd_wait *waits;
  struct pollfd *asked;
};

static void wake(struct braid_watch *watch, int events) {
  (void)events;
  struct fd_wait *wait = braid_container(watch, struct fd_wait, watch);
  braid_loop_end_wait(wait->waiter->home, wait->waiter, BRAID_OK);
}

/* Pushes a list of booleans: whether each one is ready. */
static int push_ready(lua_State *L, const struct selection *selection) {
  lua_createtable(L, (int)selection->count, 0);
  for (size_t i = 0; i < selection->count; i++) {
    lua_pushboolean(L, selection->asked[i].revents != 0);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void leave(struct sched *sched, struct selection *selection) {
  for (size_t i = 0; i < selection->count; i++) lfd_leave(sched, &selection->waits[i]);
}

static int select_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct sched *sched = sched_of(L);
  struct selection *selection = (struct selection *)context;
  enum braid_status end = sched_end(sched);
  leave(sched, selection);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  poll(selection->asked, (nfds_t)selection->count, 0);
  return push_ready(L, selection);
}

/* Starts all watches. What cannot be watched is always ready. */
static bool start(struct braid_waiter *waiter, struct selection *selection) {
  for (size_t i = 0; i < selection->count; i++) {
    struct fd_wait *wait = &selection->waits[i];
    wait->waiter = waiter;
    int events = selection->asked[i].events & POLLIN ? BRAID_READ : BRAID_WRITE;
    if (braid_watch_start(waiter->home, &wait->watch, selection->asked[i].fd, events)) return false;
  }
  return true;
}

/* Makes the selection of the lists at 1 and 2: numbers of descriptors to read, and to write. */
static struct selection *new_selection(lua_State *L) {
  size_t readers = (size_t)luaL_len(L, 1), count = readers + (size_t)luaL_len(L, 2);
  struct selection *selection =
      lua_newuserdatauv(L, sizeof *selection + count * (sizeof *selection->waits + sizeof *selection->asked), 0);
  selection->count = count;
  selection->waits = (struct fd_wait *)(void *)(selection + 1);
  selection->asked = (struct pollfd *)(void *)(selection->waits + count);
  for (size_t i = 0; i < count; i++) {
    bool reads = i < readers;
    lua_rawgeti(L, reads ? 1 : 2, (lua_Integer)(reads ? i : i - readers) + 1);
    int fd = (int)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    selection->asked[i] = (struct pollfd){.fd = fd, .events = reads ? POLLIN : POLLOUT};
    selection->waits[i] = (struct fd_wait){.watch = {.fire = wake, .fd = fd}};
  }
  return selection;
}

/* socket_select(readers, writers, timeout) -> list: whether each reader, then each writer is ready. Suspends. */
static int select_sockets(lua_State *L) {
  struct sched *sched = sched_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t deadline = larg_timeout(L, 3);
  struct selection *selection = new_selection(L);
  struct braid_waiter *waiter = sched_begin(L, sched);
  int ready = poll(selection->asked, (nfds_t)selection->count, 0);
  if (ready != 0 && deadline != LARG_ONCE) deadline = 1; /* at once, but others run first */
  if (start(waiter, selection))
    return sched_park(L, sched, deadline == LARG_ONCE ? 1 : deadline, select_k, (lua_KContext)selection);
  leave(sched, selection);
  sched_forget(sched);
  poll(selection->asked, (nfds_t)selection->count, 0);
  return push_ready(L, selection);
}

/* ---- texts and time ------------------------------------------------------------------------------------------- */

/* system_text(number) -> what strerror says. */
static int system_text(lua_State *L) {
  lua_pushstring(L, strerror((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* wall_time() -> seconds since 1970. */
static int wall_time(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
  return 1;
}

/* host_name() -> the name of this machine. */
static int host_name(lua_State *L) {
  char name[257] = "";
  gethostname(name, sizeof name - 1);
  lua_pushstring(L, name);
  return 1;
}

void lsocket_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"names", ask_names},           {"socket_new", new_socket},        {"socket_adopt", adopt},
      {"socket_option", option_kind}, {"socket_select", select_sockets}, {"system_text", system_text},
      {"wall_time", wall_time},       {"host_name", host_name},          {NULL, NULL}};
  static const luaL_Reg methods[] = {{"let_go", descriptor_let_go},
                                     {"bind", descriptor_bind},
                                     {"listen", descriptor_listen},
                                     {"dial", descriptor_dial},
                                     {"undial", descriptor_undial},
                                     {"there", descriptor_there},
                                     {"shut", descriptor_shut},
                                     {"set_option", descriptor_set_option},
                                     {"get_option", descriptor_get_option},
                                     {NULL, NULL}};
  static const struct {
    const char *name;
    int number;
  } numbers[] = {{"EISCONN", EISCONN},           {"EACCES", EACCES},
                 {"ECONNREFUSED", ECONNREFUSED}, {"ECONNABORTED", ECONNABORTED},
                 {"ETIMEDOUT", ETIMEDOUT},       {"EBADF", EBADF},
                 {"EAI_AGAIN", EAI_AGAIN},       {"EAI_FAIL", EAI_FAIL},
                 {"EAI_FAMILY", EAI_FAMILY},     {"EAI_MEMORY", EAI_MEMORY},
                 {"EAI_NONAME", EAI_NONAME},     {"EAI_SERVICE", EAI_SERVICE},
                 {"EAI_SOCKTYPE", EAI_SOCKTYPE}, {"EAI_SYSTEM", EAI_SYSTEM},
                 {"EAI_BADFLAGS", EAI_BADFLAGS}, {"HOST_NOT_FOUND", HOST_NOT_FOUND}};
  lobject_class(L, &braid_names_class, none);
  lua_pop(L, 1);
  luaL_getmetatable(L, "braid.descriptor");
  sched_register(L, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    lua_pushinteger(L, numbers[i].number);
    lua_setfield(L, -2, numbers[i].name);
  }
}
