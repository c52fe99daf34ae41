/* SPDX-License-Identifier: MIT
 * The server itself: opening, the limits, draining, and what it counts. */
#include "lua/web/lserver.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "core/web/http2.h"
#include "core/web/listen.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/ltls.h"
#include "lua/web/lexchange.h"

struct lserver *lserver_check(lua_State *L) {
  struct lserver *lserver = larg_object(L, 1, LSERVER_METATABLE);
  if (!lserver->server) lerror_misuse(L, "the server is closed");
  return lserver;
}

struct braid_exchange *lserver_exchange(lua_State *L) {
  const struct lserver *lserver = larg_object(L, 1, LSERVER_METATABLE);
  if (!lserver->server) return NULL;
  struct braid_exchange *exchange = braid_web_server_find(lserver->server, (uint64_t)lua_tointeger(L, 2));
  return exchange && braid_exchange_lives(exchange) ? exchange : NULL;
}

static int push_problem(lua_State *L, const char *text, int code) {
  lua_pushnil(L);
  lua_pushstring(L, text);
  lua_pushinteger(L, code);
  return 3;
}

/* web_listen(host, port, shared) -> descriptor, port | nil, text, errno (-1: the name could not be resolved) */
static int web_listen(lua_State *L) {
  const char *host = larg_string(L, 1, "host", NULL), *problem = NULL;
  unsigned port = (unsigned)larg_between(L, 2, "port", 0, 65535);
  int fd, error = braid_listen(host, &port, lua_toboolean(L, 3), &fd, &problem);
  if (error) return push_problem(L, problem ? problem : strerror(error), error);
  lua_pushinteger(L, fd);
  lua_pushinteger(L, port);
  return 2;
}

/* Returns nanoseconds; 0 (no limit) for more than 1e9 seconds. */
static int64_t check_time(lua_State *L, int index, const char *name) {
  lua_Number seconds = larg_number(L, index, name);
  return seconds < 1e9 ? (int64_t)(seconds * 1e9) : 0;
}

/* web_listen_unix(path) -> descriptor | nil, text, errno. Replaces a socket at which nobody listens. */
static int web_listen_unix(lua_State *L) {
  struct braid_address address;
  const char *path = larg_string(L, 1, "path", NULL);
  const struct braid_listen_options options = {.backlog = 4096, .v6only = -1};
  int error = braid_address_unix(&address, path);
  if (error) return push_problem(L, strerror(error), error);
  int fd = braid_socket_listen(&address, &options);
  if (fd < 0) return push_problem(L, strerror(-fd), -fd);
  lua_pushinteger(L, fd);
  return 1;
}

/* web_inherit(descriptor) -> host, port | path | nil, text: a listening socket that this process was given */
static int web_inherit(lua_State *L) {
  struct braid_address address;
  char text[BRAID_ADDRESS_TEXT];
  int port, error = braid_listen_inherit((int)larg_integer(L, 1, "descriptor", 0), &address);
  if (error) return push_problem(L, strerror(error), error);
  braid_address_text(&address, text, &port);
  lua_pushstring(L, text);
  if (address.bytes.ss_family == AF_UNIX) return 1;
  lua_pushinteger(L, port);
  return 2;
}

/* web_server(max_body, max_header, idle_timeout, request_timeout, max_connections) -> server | nil, text, errno. It
 * serves from server:begin on. */
static int web_server(lua_State *L) {
  struct braid_web_options options = {
      .max_body = (uint64_t)larg_integer(L, 1, "max_body", 0),
      .max_header = (uint32_t)larg_between(L, 2, "max_header", 1, 1 << 24),
      .idle_timeout = check_time(L, 3, "idle_timeout"),
      .request_timeout = check_time(L, 4, "request_timeout"),
      .max_connections = (unsigned)larg_between(L, 5, "max_connections", 0, 1 << 20),
  };
  struct lserver *lserver = lua_newuserdatauv(L, sizeof *lserver, 0);
  memset(lserver, 0, sizeof *lserver);
  for (int i = 0; i < LSERVER_FUNCTIONS; i++) lserver->functions[i] = LUA_NOREF;
  luaL_setmetatable(L, LSERVER_METATABLE);
  lserver->sched = sched_of(L);
  int error = braid_web_server_open(&lserver->server, &lserver->sched->loop, &options);
  if (error) return push_problem(L, strerror(error), error);
  lserver->server->context = lserver;
  return 1;
}

static const struct braid_protocol *choose_protocol(struct braid_web_security *security, const char *name,
                                                    size_t size) {
  const struct lserver *lserver = braid_container(security, struct lserver, security);
  return lserver->server->preface ? braid_http2_protocol(name, size) : NULL;
}

/* server:http2() -> true; or nil and why it cannot speak it */
static int server_http2(lua_State *L) {
  const char *problem = braid_http2_enable(lserver_check(L)->server);
  if (problem)
    lua_pushnil(L), lua_pushstring(L, problem);
  else
    lua_pushboolean(L, 1);
  return problem ? 2 : 1;
}

static int open_secure(struct braid_web_security *security, struct braid_transport *transport) {
  const struct lserver *lserver = braid_container(security, struct lserver, security);
  return braid_transport_secure(transport, lserver->context) ? 0 : ENOMEM;
}

/* server:secure(context): new connections have TLS with this context, of tls_context */
static int server_secure(lua_State *L) {
  struct lserver *lserver = lserver_check(L);
  struct braid_tls_context *context = ltls_check_context(L, 2);
  if (context == lserver->context) return 0;
  braid_tls_context_ref(context);
  if (lserver->context) braid_tls_context_unref(lserver->context);
  lserver->context = context;
  lserver->security.open = open_secure;
  lserver->security.protocol = choose_protocol;
  lserver->server->security = &lserver->security;
  return 0;
}

/* server:begin(self, serve, refuse, fail, admit or nil): serves; tasks of requests belong to the scope around the
 * caller, which has to outlive the server */
static int server_begin(lua_State *L) {
  struct lserver *lserver = lserver_check(L);
  struct sched *sched = sched_of(L);
  for (int i = 3; i <= 5; i++) larg_function(L, i, "fn");
  lua_settop(L, 6);
  lua_newtable(L);
  for (int i = LSERVER_FUNCTIONS - 1; i >= 0; i--) lserver->functions[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  lserver->scope = tree_nursery(sched->current);
  int error = braid_web_server_start(lserver->server);
  if (error) return lerror_raise_system(L, error, "the listener cannot be watched");
  return 0;
}

void lserver_close(struct lserver *lserver) {
  if (!lserver->server) return;
  lserver->closing = true;
  if (lserver->busy > 0) return;
  braid_web_server_close(lserver->server);
  lserver->server = NULL;
  if (lserver->context) braid_tls_context_unref(lserver->context);
  lserver->context = NULL;
  braid_buffer_term(&lserver->fields);
  for (int i = 0; i < LSERVER_FUNCTIONS; i++) luaL_unref(lserver->sched->L, LUA_REGISTRYINDEX, lserver->functions[i]);
}

/* server:close(): ends every exchange and every connection */
static int server_close(lua_State *L) {
  lserver_close(larg_object(L, 1, LSERVER_METATABLE));
  return 0;
}

/* server:drain(): accepts no more connections, and closes each one after its current exchange */
static int server_drain(lua_State *L) {
  braid_web_server_drain(lserver_check(L)->server);
  return 0;
}

/* server:listen(descriptor) -> true | nil, text, errno: listens there, too; before server:begin. Takes the descriptor
 * over. */
static int server_listen(lua_State *L) {
  int error = braid_web_server_listen(lserver_check(L)->server, (int)larg_integer(L, 2, "descriptor", 0));
  if (error) return push_problem(L, strerror(error), error);
  lua_pushboolean(L, 1);
  return 1;
}

/* server:release(): a connection that was upgraded has ended */
static int server_release(lua_State *L) {
  const struct lserver *lserver = larg_object(L, 1, LSERVER_METATABLE);
  if (lserver->server) braid_web_server_release(lserver->server);
  return 0;
}

/* server:ask(asks): whether `admit` is called for requests with a body */
static int server_ask(lua_State *L) {
  lserver_check(L)->server->options.asks = lua_toboolean(L, 2);
  return 0;
}

/* server:adopt(descriptor) -> true | nil, text: serves a connection that somebody else has accepted */
static int server_adopt(lua_State *L) {
  int error = braid_web_server_adopt(lserver_check(L)->server, (int)larg_integer(L, 2, "descriptor", 0));
  if (error) return push_problem(L, strerror(error), error);
  lua_pushboolean(L, 1);
  return 1;
}

/* server:is_quiet(linger) -> whether there is no exchange, and no connection was used for so many seconds */
static int server_is_quiet(lua_State *L) {
  const struct lserver *lserver = lserver_check(L);
  lua_pushboolean(L, braid_web_server_is_quiet(lserver->server, (int64_t)(larg_number(L, 2, "linger") * 1e9)));
  return 1;
}

static int quiet_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  lua_pushboolean(L, end == BRAID_OK);
  return 1;
}

/* server:wait_quiet(timeout) -> false after the timeout. Of a draining server: waits for its last exchange. Suspends.
 */
static int server_wait_quiet(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct lserver *lserver = lserver_check(L);
  int64_t deadline = larg_timeout(L, 2);
  if (lserver->server->counts.exchanges == 0 || deadline == LARG_ONCE) {
    lua_pushboolean(L, lserver->server->counts.exchanges == 0);
    return 1;
  }
  struct braid_waiter *waiter = sched_begin(L, sched);
  braid_wait_node_join(&waiter->node, &lserver->server->quiet);
  return sched_park(L, sched, deadline, quiet_k, 0);
}

/* server:counts() -> connections accepted in total, connections now, exchanges now, upgraded connections now */
static int server_counts(lua_State *L) {
  const struct braid_web_counts *counts = &lserver_check(L)->server->counts;
  lua_pushinteger(L, (lua_Integer)counts->accepted);
  lua_pushinteger(L, counts->connections + counts->upgraded);
  lua_pushinteger(L, counts->exchanges);
  lua_pushinteger(L, counts->upgraded);
  return 4;
}

void lserver_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"begin", server_begin},
                                     {"secure", server_secure},
                                     {"http2", server_http2},
                                     {"listen", server_listen},
                                     {"release", server_release},
                                     {"adopt", server_adopt},
                                     {"ask", server_ask},
                                     {"close", server_close},
                                     {"drain", server_drain},
                                     {"is_quiet", server_is_quiet},
                                     {"wait_quiet", server_wait_quiet},
                                     {"counts", server_counts},
                                     {"__gc", server_close},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"web_listen", web_listen},
                                       {"web_listen_unix", web_listen_unix},
                                       {"web_inherit", web_inherit},
                                       {"web_server", web_server},
                                       {NULL, NULL}};
  sched_class(L, LSERVER_METATABLE, methods);
  sched_register(L, lexchange_methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
