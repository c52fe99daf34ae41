/* SPDX-License-Identifier: MIT
 * Messages of WebSockets on descriptors without TLS: the short ways of lua/braid/websocket/connection.lua, which does
 * the rest. The codec belongs to a module of its own; it is used through its table of functions. The state's own
 * thread. */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/net/websocket.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/lfd.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* F_SETNOSIGPIPE was set for the descriptor */
#endif

enum {
  READ = 65536,     /* bytes of one read */
  MOST_KEPT = 16384 /* bytes of messages that wait to be sent together */
};

static struct braid_websocket_codec *check_codec(lua_State *L) { return luaL_checkudata(L, 2, BRAID_WEBSOCKET_CODEC); }

/* ---- receiving ------------------------------------------------------------------------------------------------ */

static int push_event(lua_State *L, const struct braid_websocket_event *event) {
  static const char *const kinds[] = {[BRAID_WEBSOCKET_TEXT] = "text",
                                      [BRAID_WEBSOCKET_BINARY] = "binary",
                                      [BRAID_WEBSOCKET_PONG] = "pong",
                                      [BRAID_WEBSOCKET_CLOSE] = "close",
                                      [BRAID_WEBSOCKET_FAILURE] = "failed"};
  lua_pushlstring(L, event->data, event->size);
  lua_pushstring(L, kinds[event->kind]);
  if (!event->code) return 2;
  lua_pushinteger(L, event->code);
  return 3;
}

static int receive_k(lua_State *L, int status, lua_KContext context);

static int wait_for_bytes(lua_State *L, struct descriptor *descriptor) {
  if (descriptor->reader.deadline == LARG_ONCE) return lerror_return(L, BRAID_TIMEOUT, "websocket:receive");
  descriptor->receiving = sched_may_begin(L, sched_of(L)); /* if not, the next line raises */
  return lfd_wait(L, &descriptor->reader, BRAID_READ, "websocket:receive", receive_k);
}

/* Pushes what `receive` returns, or waits. `readable`: the socket has bytes, as far as is known. */
static int receive_on(lua_State *L, bool readable) {
  struct descriptor *descriptor = lua_touserdata(L, 1);
  struct braid_websocket_codec *codec = lua_touserdata(L, 2);
  const struct braid_websocket_functions *functions = codec->functions;
  struct braid_websocket_event event;
  char piece[READ];
  for (;;) {
    if (functions->next(codec->ws, &event) != BRAID_OK) return lerror_memory(L);
    if (event.kind != BRAID_WEBSOCKET_NOTHING) return push_event(L, &event);
    if (functions->has_answer(codec->ws) || functions->backlog(codec->ws) > 0) return 0;
    if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "websocket:receive");
    if (!readable) return wait_for_bytes(L, descriptor);
    ssize_t count = recv(descriptor->fd, piece, READ, MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) return lerror_return(L, BRAID_CLOSED, "websocket:receive");
    readable = count == READ;
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return lerror_system(L, errno, "websocket:receive");
    if (count > 0 && !functions->feed(codec->ws, piece, (size_t)count)) return lerror_memory(L);
  }
}

static int receive_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->reader);
  descriptor->receiving = false;
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return end == BRAID_OK ? receive_on(L, true) : lerror_return(L, end, "websocket:receive");
}

/* receive_message(codec, timeout) -> what codec:next() gives, as soon as there is something; nothing: another task is
 * reading, or the codec has something to be sent first | nil, err. Suspends. */
static int descriptor_receive(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lfd_check(L, 1);
  check_codec(L);
  lua_settop(L, 3);
  if (descriptor->receiving && descriptor->reader.busy)
    lerror_misuse(L, "another task is receiving from this websocket: let one task receive and hand on what it gets");
  if (descriptor->reader.busy) return 0;
  struct fd_wait *reader = lfd_begin(L, &descriptor->reader, "reading from");
  if (!sched_enter(L, sched)) return receive_on(L, reader->deadline == LARG_ONCE);
  reader->busy = descriptor->receiving = true;
  return sched_pass(L, sched, receive_k, 0);
}

/* ---- sending -------------------------------------------------------------------------------------------------- */

/* Sends the codec's output. Pushes true; the bytes that the socket does not take now; or nil and the error. */
static int send_output(lua_State *L, struct descriptor *descriptor, const struct braid_websocket_codec *codec) {
  size_t size, sent = 0;
  const char *data = codec->functions->output(codec->ws, &size);
  while (sent < size) {
    ssize_t count = send(descriptor->fd, data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      sent += (size_t)count;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      lua_pushlstring(L, data + sent, size - sent);
      return 1;
    } else if (errno != EINTR) {
      return lerror_system(L, errno, "websocket:send");
    }
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Whether more messages have come than were received: then what is sent waits for the answers to them. */
static bool waits_for_more(const struct braid_websocket_codec *codec) {
  return codec->functions->is_fed(codec->ws) && codec->functions->backlog(codec->ws) < MOST_KEPT;
}

static int send_k(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  const struct braid_websocket_codec *codec = lua_touserdata(L, 2);
  size_t size;
  const char *data = lua_tolstring(L, 3, &size);
  sched_entered(sched, status);
  if (descriptor->fd < 0) return lerror_return(L, BRAID_CLOSED, "websocket:send");
  bool text = !lua_toboolean(L, 4);
  if (text && !codec->functions->is_utf8(data, size)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  enum braid_status ended =
      codec->functions->send(codec->ws, text ? BRAID_WEBSOCKET_TEXT : BRAID_WEBSOCKET_BINARY, data, size);
  if (ended == BRAID_NO_MEMORY) return lerror_memory(L);
  if (ended != BRAID_OK) return 0;
  if (!waits_for_more(codec)) return send_output(L, descriptor, codec);
  lua_pushinteger(L, 1);
  return 1;
}

/* send_message(codec, data, binary) -> true: it is sent | the bytes that the socket does not take now | 1: it waits for
 * more in the codec | false: a text that is not UTF-8 | nothing: the codec is closed | nil, err. Whoever calls it has
 * the turn to write. May let other tasks run first; does not wait. */
static int descriptor_send(lua_State *L) {
  lfd_check(L, 1);
  check_codec(L);
  larg_string(L, 3, "data", NULL);
  lua_settop(L, 4);
  return sched_attempt(L, sched_of(L), send_k, 0);
}

void lmessages_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"receive_message", descriptor_receive}, {"send_message", descriptor_send}, {NULL, NULL}};
  luaL_getmetatable(L, "braid.descriptor");
  sched_register(L, methods);
  lua_pop(L, 1);
}
