/* SPDX-License-Identifier: MIT
 * UDP sockets for Lua: descriptors of lfd.c with additional methods. lua/braid/io/udp.lua resolves names. */
#include <errno.h>
#include <lauxlib.h>

#include "core/net/datagram.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/lfd.h"
#include "lua/io/lnet.h"

/* udp_open(address, reuse_port, broadcast) -> descriptor | nil, err. */
static int udp_open(lua_State *L) {
  struct braid_address address = lnet_address(L, 1);
  struct descriptor *descriptor = lfd_new(L);
  int fd = braid_datagram_open(&address, lua_toboolean(L, 2), lua_toboolean(L, 3));
  if (fd < 0) return lnet_refuse(L, -fd, "udp");
  lfd_adopt(descriptor, fd);
  return 1;
}

static int push_outcome(lua_State *L, int error, const char *what) {
  if (error) return lnet_refuse(L, -error, what);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- sending -------------------------------------------------------------------------------------------------- */

static int send_k(lua_State *L, int status, lua_KContext context);

static int send_on(lua_State *L, struct descriptor *descriptor) {
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "udp:send");
  size_t size;
  const char *data = lua_tolstring(L, 2, &size);
  bool connected = lua_isnil(L, 3);
  struct braid_address to = {0};
  if (!connected) to = lnet_address(L, 3);
  int error = braid_datagram_send(descriptor->fd, data, size, connected ? NULL : &to);
  if (error != -EAGAIN) return push_outcome(L, error, "udp:send");
  return lfd_wait(L, &descriptor->writer, BRAID_WRITE, "udp:send", send_k);
}

static int send_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->writer);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? send_on(L, descriptor) : lerror_return(L, end, "udp:send");
}

/* send(data, address or nil, timeout) -> true | nil, err. Suspends. */
static int udp_send(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lfd_check(L, 1);
  larg_string(L, 2, "data", NULL);
  lua_settop(L, 4);
  struct fd_wait *writer = lfd_begin(L, &descriptor->writer, "sending from");
  if (!sched_enter(L, sched)) return send_on(L, descriptor);
  writer->busy = true;
  return sched_pass(L, sched, send_k, 0);
}

/* ---- receiving ------------------------------------------------------------------------------------------------ */

static int receive_k(lua_State *L, int status, lua_KContext context);

static int receive_on(lua_State *L, struct descriptor *descriptor) {
  char data[BRAID_DATAGRAM_MOST];
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "udp:receive");
  struct braid_address from;
  int size = braid_datagram_receive(descriptor->fd, data, &from);
  if (size == -EAGAIN) return lfd_wait(L, &descriptor->reader, BRAID_READ, "udp:receive", receive_k);
  if (size < 0) return lnet_refuse(L, -size, "udp:receive");
  lua_pushlstring(L, data, (size_t)size);
  lnet_push_address(L, &from);
  return 2;
}

static int receive_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->reader);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? receive_on(L, descriptor) : lerror_return(L, end, "udp:receive");
}

/* receive(timeout) -> data, address of the sender | nil, err. Suspends. */
static int udp_receive(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lfd_check(L, 1);
  lua_settop(L, 2);
  struct fd_wait *reader = lfd_begin(L, &descriptor->reader, "receiving from");
  if (!sched_enter(L, sched)) return receive_on(L, descriptor);
  reader->busy = true;
  return sched_pass(L, sched, receive_k, 0);
}

/* ---- peers and groups ----------------------------------------------------------------------------------------- */

/* connect(address) -> true | nil, err. */
static int udp_connect(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_address address = lnet_address(L, 2);
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "udp:connect");
  return push_outcome(L, braid_datagram_connect(descriptor->fd, &address), "udp:connect");
}

/* member(join, address of the group, interface or nil) -> true | nil, err. Joins the group, or leaves it. */
static int udp_member(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  bool join = lua_toboolean(L, 2);
  struct braid_address group = lnet_address(L, 3);
  const char *interface = lua_isnoneornil(L, 4) ? NULL : larg_string(L, 4, "interface", NULL);
  const char *what = join ? "udp:join" : "udp:leave";
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, what);
  int error = join ? braid_datagram_join(descriptor->fd, &group, interface)
                   : braid_datagram_leave(descriptor->fd, &group, interface);
  return push_outcome(L, error, what);
}

void ludp_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"udp_open", udp_open}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"send", udp_send}, {"receive", udp_receive}, {"connect", udp_connect}, {"member", udp_member}, {NULL, NULL}};
  luaL_getmetatable(L, "braid.descriptor");
  sched_register(L, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
