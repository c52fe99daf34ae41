/* SPDX-License-Identifier: MIT
 * Sockets for Lua. An address is a string (the bytes of a struct braid_address). Connections and listeners are
 * descriptors of lfd.c with additional methods. lua/braid/io/net.lua decides which addresses are tried in which order.
 */
#include "lua/io/lnet.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "core/net/resolve.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/io/lfd.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"

/* ---- addresses ------------------------------------------------------------------------------------------------ */

/* The string is the size, followed by the bytes. */
void lnet_push_address(lua_State *L, const struct braid_address *address) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  luaL_addlstring(&buffer, (const char *)&address->size, sizeof address->size);
  luaL_addlstring(&buffer, (const char *)&address->bytes, address->size);
  luaL_pushresult(&buffer);
}

struct braid_address lnet_address(lua_State *L, int index) {
  struct braid_address address = {0};
  size_t size;
  const char *text = larg_string(L, index, "address", &size);
  if (size < sizeof address.size || size > sizeof address.size + sizeof address.bytes)
    larg_error(L, index, "address", "an address");
  memcpy(&address.size, text, sizeof address.size);
  memcpy(&address.bytes, text + sizeof address.size, size - sizeof address.size);
  return address;
}

/* unix_address(path) -> address | nil, err. */
static int unix_address(lua_State *L) {
  struct braid_address address;
  const char *path = larg_string(L, 1, "path", NULL);
  int error = braid_address_unix(&address, path);
  if (error) return lerror_system(L, error, "the path of a unix socket");
  lnet_push_address(L, &address);
  return 1;
}

/* address_text(address) -> host, port | path. */
static int address_text(lua_State *L) {
  struct braid_address address = lnet_address(L, 1);
  char text[BRAID_ADDRESS_TEXT];
  int port;
  braid_address_text(&address, text, &port);
  lua_pushstring(L, text);
  if (address.bytes.ss_family == AF_UNIX) return 1;
  lua_pushinteger(L, port);
  return 2;
}

/* address_bytes(address) -> the 4 or 16 bytes of an IPv4 or IPv6 address. */
static int address_bytes(lua_State *L) {
  struct braid_address address = lnet_address(L, 1);
  const struct sockaddr_in *four = (const struct sockaddr_in *)&address.bytes;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address.bytes;
  if (four->sin_family == AF_INET)
    lua_pushlstring(L, (const char *)&four->sin_addr, sizeof four->sin_addr);
  else
    lua_pushlstring(L, (const char *)&six->sin6_addr, sizeof six->sin6_addr);
  return 1;
}

/* ---- host names ----------------------------------------------------------------------------------------------- */

enum { RESOLUTION = 3 }; /* stack index of its box */

static struct braid_resolution *resolution_at(lua_State *L) {
  return braid_container(lobject_check(L, RESOLUTION, &braid_resolution_class), struct braid_resolution, work.object);
}

static int push_answer(lua_State *L) {
  const struct braid_resolution *resolution = resolution_at(L);
  if (resolution->error) {
    lua_pushnil(L);
    lerror_push(L, "system", "the address of \"%s\" could not be found: %s", resolution->host,
                resolution->error == EAI_SYSTEM ? strerror(resolution->number) : gai_strerror(resolution->error));
    return 2;
  }
  lua_createtable(L, (int)resolution->count, 0);
  for (unsigned i = 0; i < resolution->count; i++) {
    lnet_push_address(L, &resolution->addresses[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int resolve_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? push_answer(L) : lerror_return(L, end, "the address of a host");
}

/* resolve(host or nil, port, timeout) -> list of addresses, in the order in which to try them | nil, err. Suspends. */
static int resolve(lua_State *L) {
  struct sched *sched = sched_of(L);
  const char *host = lua_isnil(L, 1) ? NULL : larg_string(L, 1, "host", NULL);
  lua_Integer port = larg_between(L, 2, "port", 0, UINT16_MAX);
  int64_t deadline = larg_timeout(L, 3);
  lua_settop(L, 2);
  lobject_box(L, &braid_resolution_class);
  struct braid_resolution *resolution = braid_resolution_new(host, (int)port);
  if (!resolution) return lerror_memory(L);
  lobject_fill(L, &resolution->work.object);
  enum braid_status status = braid_blocking_wait(&resolution->work, NULL);
  if (status == BRAID_OK) return push_answer(L);
  if (deadline == LARG_ONCE) return lerror_return(L, BRAID_TIMEOUT, "the address of a host");
  struct braid_waiter *waiter = sched_begin(L, sched);
  status = braid_blocking_wait(&resolution->work, &waiter->node);
  if (status == BRAID_WAIT) return sched_park(L, sched, deadline, resolve_k, 0);
  sched_forget(sched);
  return push_answer(L);
}

/* ---- connecting ----------------------------------------------------------------------------------------------- */

int lnet_refuse(lua_State *L, int error, const char *what) {
  char text[512];
  int count = lerror_system(L, error, what);
  if (error != EMFILE) return count;
  braid_socket_explain(error, text, sizeof text);
  lua_pushfstring(L, "%s: %s", what, text);
  lua_setfield(L, -2, "message");
  return count;
}

/* Returns the descriptor at index 1, or closes it and returns nil, err. */
static int push_connection(lua_State *L, struct descriptor *descriptor, int error) {
  if (error) {
    lfd_close(descriptor);
    return lnet_refuse(L, error, "connect");
  }
  lua_pushvalue(L, 1);
  return 1;
}

static int connect_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->writer);
  if (end == BRAID_OK) return push_connection(L, descriptor, braid_socket_outcome(descriptor->fd));
  lfd_close(descriptor);
  return sched_stopped(end) ? sched_raise(L, sched, end) : lerror_return(L, end, "connect");
}

/* socket_connect(address, local address or nil, nodelay, keepalive, timeout) -> descriptor | nil, err. Keepalive: see
 * struct braid_socket_options. Suspends. */
static int socket_connect(lua_State *L) {
  struct braid_address address = lnet_address(L, 1), from = {0};
  bool bound = !lua_isnil(L, 2);
  if (bound) from = lnet_address(L, 2);
  struct braid_socket_options options = {.from = bound ? &from : NULL,
                                         .delay = !lua_toboolean(L, 3),
                                         .keepalive = (int)larg_between(L, 4, "keepalive", -1, INT_MAX)};
  lua_settop(L, 5);
  struct descriptor *descriptor = lfd_new(L);
  lua_insert(L, 1);
  struct fd_wait *writer = lfd_begin(L, &descriptor->writer, "using");
  if (!sched_may_begin(L, sched_of(L))) sched_begin(L, sched_of(L)); /* so it raises before anything is opened */
  bool pending;
  int fd = braid_socket_connect(&address, &options, &pending);
  if (fd < 0) return push_connection(L, descriptor, -fd);
  lfd_adopt(descriptor, fd);
  if (!pending) return push_connection(L, descriptor, 0);
  if (writer->deadline == LARG_ONCE) lfd_close(descriptor);
  return lfd_wait(L, writer, BRAID_WRITE, "connect", connect_k);
}

/* ---- listening ------------------------------------------------------------------------------------------------ */

/* socket_listen(address, backlog, reuse_port, v6only or nil) -> descriptor | nil, err. */
static int socket_listen(lua_State *L) {
  struct braid_address address = lnet_address(L, 1);
  struct braid_listen_options options = {.backlog = (int)larg_between(L, 2, "backlog", 1, INT_MAX),
                                         .reuse_port = lua_toboolean(L, 3),
                                         .v6only = lua_isnoneornil(L, 4) ? -1 : lua_toboolean(L, 4)};
  struct descriptor *descriptor = lfd_new(L);
  int fd = braid_socket_listen(&address, &options);
  if (fd < 0) return lnet_refuse(L, -fd, "listen");
  lfd_adopt(descriptor, fd);
  return 1;
}

enum { FIRST = 1, SECOND, TURN, TIMEOUT }; /* stack indices of the arguments of accept */

static struct descriptor *listener_at(lua_State *L, int index) {
  return lua_isnil(L, index) ? NULL : lfd_check(L, index);
}

/* The result of braid_socket_accept for the two listeners; `turn`: the second one is asked first. */
static int accept_either(const struct descriptor *first, const struct descriptor *second, bool turn,
                         struct braid_address *peer) {
  if (!second) return braid_socket_accept(first->fd, peer);
  int fd = braid_socket_accept(turn ? second->fd : first->fd, peer);
  return fd == -EAGAIN ? braid_socket_accept(turn ? first->fd : second->fd, peer) : fd;
}

static int accept_k(lua_State *L, int status, lua_KContext context);

static int accept_on(lua_State *L) {
  struct descriptor *first = listener_at(L, FIRST), *second = listener_at(L, SECOND);
  if (first->fd < 0) return lerror_return(L, BRAID_CLOSED, "listener:accept");
  struct descriptor *descriptor = lfd_new(L);
  struct braid_address peer;
  int fd = accept_either(first, second, lua_toboolean(L, TURN), &peer);
  if (fd >= 0) {
    lfd_adopt(descriptor, fd);
    lnet_push_address(L, &peer);
    return 2;
  }
  lua_pop(L, 1);
  if (fd != -EAGAIN) return lnet_refuse(L, -fd, "listener:accept");
  if (second) return lfd_wait_either(L, first, second, "listener:accept", accept_k);
  return lfd_wait(L, &first->reader, BRAID_READ, "listener:accept", accept_k);
}

static int accept_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *first = listener_at(L, FIRST), *second = listener_at(L, SECOND);
  enum braid_status end = lfd_end(sched, &first->reader);
  if (second) lfd_leave(sched, &second->reader);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? accept_on(L) : lerror_return(L, end, "listener:accept");
}

/* listener:accept(second listener or nil, turn, timeout) -> descriptor, address of the peer | nil, err. Accepts from
 * either of them. `turn`: the second one comes first where both have a connection. Suspends. */
static int descriptor_accept(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *first = lfd_check(L, FIRST);
  lua_settop(L, TIMEOUT);
  listener_at(L, SECOND);
  struct fd_wait *reader = lfd_begin(L, &first->reader, "accepting from");
  if (!sched_enter(L, sched)) return accept_on(L);
  reader->busy = true;
  return sched_pass(L, sched, accept_k, 0);
}

/* ---- other methods of sockets --------------------------------------------------------------------------------- */

/* shutdown() -> true | nil, err. The peer reads the end of the stream; this side can still read. */
static int descriptor_shutdown(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "stream:shutdown");
  if (shutdown(descriptor->fd, SHUT_WR) && errno != ENOTCONN) return lerror_system(L, errno, "stream:shutdown");
  lua_pushboolean(L, 1);
  return 1;
}

/* here() -> the local address | nil, err. */
static int descriptor_here(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_address address = {.size = sizeof address.bytes};
  if (getsockname(descriptor->fd, (struct sockaddr *)&address.bytes, &address.size))
    return lerror_system(L, errno, "the address of a socket");
  lnet_push_address(L, &address);
  return 1;
}

void lnet_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"resolve", resolve},
                                       {"unix_address", unix_address},
                                       {"address_text", address_text},
                                       {"address_bytes", address_bytes},
                                       {"socket_connect", socket_connect},
                                       {"socket_listen", socket_listen},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"accept", descriptor_accept}, {"shutdown", descriptor_shutdown}, {"here", descriptor_here}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  lobject_class(L, &braid_resolution_class, none);
  lua_pop(L, 1);
  luaL_getmetatable(L, "braid.descriptor");
  sched_register(L, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
  static const struct {
    const char *name;
    int number;
  } numbers[] = {{"EAGAIN", EAGAIN}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"EADDRINUSE", EADDRINUSE}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    lua_pushinteger(L, numbers[i].number);
    lua_setfield(L, -2, numbers[i].name);
  }
}
