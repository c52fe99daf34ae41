/* SPDX-License-Identifier: MIT
 * What a handler asks of its request, and how it answers. A number whose exchange is over gives nothing. */
#include "lua/web/lexchange.h"

#include <errno.h>
#include <string.h>

#include "core/web/syntax.h"
#include "core/web/tls_transport.h"
#include "core/web/transport.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/io/lfd.h"
#include "lua/web/lwebfile.h"
#include "lua/web/lserver.h"

static void push_part(lua_State *L, const struct braid_exchange *exchange, struct braid_part part) {
  lua_pushlstring(L, exchange->text + part.at, part.size);
}

/* ---- the request ---------------------------------------------------------------------------------------------- */

/* server:headers(number) -> a list: name, value, name, value, ... The host of an absolute target replaces Host. */
static int exchange_headers(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  if (!exchange) return 0;
  const struct braid_head *head = &exchange->head;
  const char *at = exchange->text + head->fields.at, *end = at + head->fields.size;
  bool absolute = head->flags & BRAID_HEAD_ABSOLUTE;
  struct braid_field field;
  lua_Integer count = 0;
  lua_createtable(L, (int)head->count * 2, 0);
  while (braid_field_next(&at, end, &field)) {
    lua_pushlstring(L, field.name, field.name_size);
    lua_rawseti(L, -2, ++count);
    if (absolute && braid_text_equals(field.name, field.name_size, "host"))
      push_part(L, exchange, head->authority);
    else
      lua_pushlstring(L, field.value, field.value_size);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

/* server:header(number, name) -> the value of the first one; nothing if there is none. The name is in lower case. */
static int exchange_header(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  const char *name = larg_string(L, 3, "name", NULL);
  struct braid_field field;
  if (!exchange) return 0;
  const struct braid_part fields = exchange->head.fields;
  if (!braid_field_find(exchange->text + fields.at, fields.size, name, &field)) return 0;
  lua_pushlstring(L, field.value, field.value_size);
  return 1;
}

/* server:target(number) -> as the client sent it (nil: it could not be read), the version, and whether the path has
 * escapes of '/' or NUL */
static int exchange_target(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  if (!exchange) return 0;
  if (exchange->head.target.size > 0)
    push_part(L, exchange, exchange->head.target);
  else
    lua_pushnil(L);
  bool old = exchange->head.flags & BRAID_HEAD_OLD;
  lua_pushstring(L, old ? "HTTP/1.0" : exchange->connection->protocol->version);
  lua_pushboolean(L, exchange->escaped);
  return 3;
}

/* server:request(number) -> method, path; what is known of a request that is refused */
static int exchange_request(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  if (!exchange) return 0;
  size_t size;
  const char *text = braid_exchange_method(exchange, &size);
  lua_pushlstring(L, text, size);
  text = braid_exchange_path(exchange, &size);
  lua_pushlstring(L, text, size);
  return 2;
}

/* server:peer(number) -> the client's address; nothing for a Unix socket's */
static int exchange_peer(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  char text[BRAID_ADDRESS_TEXT];
  if (!exchange) return 0;
  braid_web_connection_peer(exchange->connection, text);
  if (!*text) return 0;
  lua_pushstring(L, text);
  return 1;
}

/* server:body(number) -> the request's body; false when it is streamed */
static int exchange_body(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  if (!exchange) return 0;
  if (exchange->streamed)
    lua_pushboolean(L, 0);
  else
    lua_pushlstring(L, exchange->body.data, exchange->body.size);
  return 1;
}

/* server:is_large_form(number) -> whether the body is streamed for this reason alone */
static int exchange_is_large_form(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  if (!exchange) return 0;
  lua_pushboolean(L, exchange->large_form);
  return 1;
}

/* server:owes_rest(number, status) -> whether the rest of the body has to be read before an answer with this status */
static int exchange_owes_rest(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  unsigned status = (unsigned)larg_integer(L, 3, "status", 100);
  if (!exchange) return 0;
  lua_pushboolean(L, braid_exchange_owes_rest(exchange, status));
  return 1;
}

/* server:max_body(number) -> the limit of the body, in bytes */
static int exchange_max_body(lua_State *L) {
  const struct braid_exchange *exchange = lserver_exchange(L);
  if (!exchange) return 0;
  lua_pushinteger(L, (lua_Integer)exchange->max_body);
  return 1;
}

static int piece_k(lua_State *L, int status, lua_KContext context);

/* Pushes what has come, or waits. */
static int take_piece(lua_State *L, struct sched *sched) {
  struct braid_exchange *exchange = lserver_exchange(L);
  if (!exchange) return 0;
  if (exchange->body.size > 0) {
    lua_pushlstring(L, exchange->body.data, exchange->body.size);
    braid_exchange_forget(exchange);
    return 1;
  }
  if (exchange->body_ended || exchange->refusal) {
    lua_pushboolean(L, 0);
    lua_pushinteger(L, exchange->refusal);
    return 2;
  }
  struct braid_waiter *waiter = sched_begin(L, sched);
  braid_wait_node_join(&waiter->node, &exchange->readers);
  braid_exchange_want(exchange);
  return sched_park(L, sched, BRAID_NEVER, piece_k, 0);
}

static int piece_k(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = status == LUA_OK ? BRAID_OK : sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return take_piece(L, sched);
}

/* server:piece(number) -> the next piece of a streamed body; false at its end, with the status 400 or 413 if that came
 * too early; nothing when the client has left. Suspends. */
static int exchange_piece(lua_State *L) { return sched_attempt(L, sched_of(L), piece_k, 0); }

/* ---- the answer ----------------------------------------------------------------------------------------------- */

static const char *list_text(lua_State *L, int index, lua_Integer i, size_t *size) {
  if (lua_rawgeti(L, index, i) != LUA_TSTRING) luaL_error(L, "header %I is not a string", (LUAI_UACINT)i);
  const char *text = lua_tolstring(L, -1, size); /* the list keeps it alive */
  lua_pop(L, 1);
  return text;
}

/* Reads a list of names and values, or field lines as one string. If one cannot be sent, pushes a text and returns
 * false. */
static bool read_fields(lua_State *L, int index, struct lserver *lserver, struct braid_answer *answer) {
  if (lua_type(L, index) == LUA_TSTRING) {
    answer->fields = lua_tolstring(L, index, &answer->fields_size);
    return true;
  }
  luaL_checktype(L, index, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  lserver->fields.size = 0;
  for (lua_Integer i = 1; i < count; i += 2) {
    size_t name_size, value_size;
    const char *name = list_text(L, index, i, &name_size), *value = list_text(L, index, i + 1, &value_size);
    if (braid_text_equals(name, name_size, "connection")) {
      answer->close = answer->close || braid_text_equals(value, value_size, "close");
    } else if (!braid_answer_add(&lserver->fields, name, name_size, value, value_size)) {
      lua_pushfstring(L, "the header %s cannot be sent", name);
      return false;
    }
  }
  answer->fields = lserver->fields.data;
  answer->fields_size = lserver->fields.size;
  return true;
}

/* Sends the answer with the headers at `index`. */
static int send_answer(lua_State *L, struct braid_exchange *exchange, struct braid_answer *answer, int index) {
  struct lserver *lserver = lua_touserdata(L, 1);
  if (!read_fields(L, index, lserver, answer)) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (!braid_exchange_respond(exchange, answer)) {
    lua_pushnil(L);
    lua_pushliteral(L, LERROR_NO_MEMORY);
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* The exchange that can be answered; NULL: it is over, or answered. */
static struct braid_exchange *unanswered(lua_State *L) {
  struct braid_exchange *exchange = lserver_exchange(L);
  return exchange && !exchange->answered ? exchange : NULL;
}

/* server:respond(number, status, body, headers) -> true; nothing when nobody waits for the answer any more, or when the
 * rest of the body is due; nil and a text when it cannot be sent. `headers` is a list: name, value, name, value, ...;
 * or lines, each with its CR LF. */
static int exchange_respond(lua_State *L) {
  struct braid_exchange *exchange = unanswered(L);
  size_t size;
  struct braid_answer answer = {.kind = BRAID_ANSWER_BODY, .status = (unsigned)larg_integer(L, 3, "status", 100)};
  answer.body = larg_string(L, 4, "body", &size);
  answer.size = size;
  if (!exchange || braid_exchange_owes_rest(exchange, answer.status)) return 0;
  return send_answer(L, exchange, &answer, 5);
}

/* server:respond_file(number, status, file, headers, offset, size): as respond. Takes over the file's descriptor. */
static int exchange_respond_file(lua_State *L) {
  struct braid_exchange *exchange = unanswered(L);
  struct braid_answer answer = {.kind = BRAID_ANSWER_FILE, .status = (unsigned)larg_integer(L, 3, "status", 100)};
  answer.offset = (uint64_t)larg_integer(L, 6, "offset", 0);
  answer.size = (uint64_t)larg_integer(L, 7, "size", 0);
  if (!exchange) return 0;
  int *fd = lwebfile_check(L, 4);
  answer.file = *fd;
  if (answer.file < 0) return 0;
  *fd = -1;
  int results = send_answer(L, exchange, &answer, 5);
  return results;
}

/* server:respond_stream(number, status, headers): as respond; then server:write and server:finish */
static int exchange_respond_stream(lua_State *L) {
  struct braid_exchange *exchange = unanswered(L);
  struct braid_answer answer = {.kind = BRAID_ANSWER_STREAM, .status = (unsigned)larg_integer(L, 3, "status", 100)};
  return exchange ? send_answer(L, exchange, &answer, 4) : 0;
}

static int room_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  lua_pushboolean(L, 1); /* if the client has left, the next write says so */
  return 1;
}

static int write_k(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  sched_entered(sched, status);
  struct braid_exchange *exchange = lserver_exchange(L);
  size_t size;
  const char *data = larg_string(L, 3, "data", &size);
  if (!exchange) return 0;
  if (!braid_exchange_write(exchange, data, size)) {
    lua_pushnil(L);
    lua_pushliteral(L, LERROR_NO_MEMORY);
    return 2;
  }
  if (!braid_exchange_has_room(exchange)) {
    struct braid_waiter *waiter = sched_begin(L, sched);
    braid_wait_node_join(&waiter->node, &exchange->writers);
    return sched_park(L, sched, BRAID_NEVER, room_k, 0);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* server:write(number, bytes) -> true; nothing when the client has left; nil and a text when memory is out. Suspends
 * while the client is slow. */
static int exchange_write(lua_State *L) { return sched_attempt(L, sched_of(L), write_k, 0); }

/* server:finish(number, failed): ends a stream */
static int exchange_finish(lua_State *L) {
  struct braid_exchange *exchange = lserver_exchange(L);
  if (exchange) braid_exchange_end(exchange, lua_toboolean(L, 3));
  return 0;
}

/* server:fate(number) -> "left" when the client has left before its answer was sent, "late" when request_timeout is
 * over; nothing else */
static int exchange_fate(lua_State *L) {
  const struct lserver *lserver = larg_object(L, 1, LSERVER_METATABLE);
  if (!lserver->server) return 0;
  const struct braid_exchange *exchange = braid_web_server_find(lserver->server, (uint64_t)lua_tointeger(L, 2));
  if (!exchange || !(exchange->left || exchange->late)) return 0;
  lua_pushstring(L, exchange->left ? "left" : "late");
  return 1;
}

/* server:untime(number): request_timeout is no limit for it any more */
static int exchange_untime(lua_State *L) {
  struct braid_exchange *exchange = lserver_exchange(L);
  if (exchange) braid_list_remove(&exchange->unanswered);
  return 0;
}

/* server:upgrade(number, head) -> descriptor, what the client has sent since; nothing when that is not possible. `head`
 * is the whole head of the answer. */
static int exchange_upgrade(lua_State *L) {
  struct braid_exchange *exchange = unanswered(L);
  size_t size;
  const char *head = larg_string(L, 3, "head", &size);
  struct descriptor *descriptor = lfd_new(L);
  struct braid_buffer rest = {0};
  struct braid_transport transport;
  if (!exchange || !braid_exchange_upgrade(exchange, head, size, &transport, &rest)) {
    braid_buffer_term(&rest);
    return 0;
  }
  lfd_adopt(descriptor, transport.fd);
  descriptor->tls = braid_transport_take_tls(&transport);
  lua_pushlstring(L, rest.data ? rest.data : "", rest.size);
  braid_buffer_term(&rest);
  return 2;
}

const luaL_Reg lexchange_methods[] = {
    {"headers", exchange_headers},
    {"header", exchange_header},
    {"target", exchange_target},
    {"request", exchange_request},
    {"peer", exchange_peer},
    {"body", exchange_body},
    {"is_large_form", exchange_is_large_form},
    {"owes_rest", exchange_owes_rest},
    {"max_body", exchange_max_body},
    {"piece", exchange_piece},
    {"respond", exchange_respond},
    {"respond_file", exchange_respond_file},
    {"respond_stream", exchange_respond_stream},
    {"write", exchange_write},
    {"finish", exchange_finish},
    {"fate", exchange_fate},
    {"untime", exchange_untime},
    {"upgrade", exchange_upgrade},
    {NULL, NULL},
};
