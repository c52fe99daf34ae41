/* SPDX-License-Identifier: MIT
 * The module braid.serve_core: the HTTP server as Lua sees it. It stands alone and knows no scheduler, so a machine
 * without libmicrohttpd still has the rest. The state's own thread; nothing blocks but listen, while it resolves a
 * name.
 *
 * Here, and only here, a callback of a library calls Lua: a request is dispatched while libmicrohttpd runs, because
 * an answer that is ready when its callback returns costs a third less. The call is protected, so that nothing jumps
 * over libmicrohttpd's frames, and what it calls cannot yield. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>

#include "../core/serve.h"

#define SERVER "braid.serve"

struct server {
  struct braid_serve *serve; /* NULL: closed */
  bool running, closing;     /* closing: as soon as it does not run */
};

static struct server *check_server(lua_State *L) {
  struct server *server = luaL_checkudata(L, 1, SERVER);
  if (!server->serve) luaL_error(L, "the server is closed");
  return server;
}

/* The exchange that the second argument numbers; NULL when it is over. */
static struct braid_exchange *find_exchange(lua_State *L) {
  struct server *server = luaL_checkudata(L, 1, SERVER);
  return server->serve ? braid_serve_find(server->serve, luaL_checkinteger(L, 2)) : NULL;
}

static int push_failure(lua_State *L, const char *text, int code) {
  lua_pushnil(L);
  lua_pushstring(L, text);
  lua_pushinteger(L, code);
  return 3;
}

/* listen(host, port) -> descriptor, port; or nil, text, errno (-1: the name) */
static int serve_listen(lua_State *L) {
  const char *host = luaL_checkstring(L, 1), *problem = NULL;
  unsigned port = (unsigned)luaL_checkinteger(L, 2);
  int fd, error = braid_serve_listen(host, &port, &fd, &problem);
  if (error) return push_failure(L, problem ? problem : strerror(error), error);
  lua_pushinteger(L, fd);
  lua_pushinteger(L, port);
  return 2;
}

/* open(listener, max_body, max_header, idle_timeout) -> server; or nil, text, errno. The listener is the server's. */
static int serve_open(lua_State *L) {
  int listener = (int)luaL_checkinteger(L, 1);
  struct braid_serve_options options = {
      .max_body = (size_t)luaL_checkinteger(L, 2),
      .max_header = (size_t)luaL_checkinteger(L, 3),
      .idle_timeout = (unsigned)luaL_checkinteger(L, 4),
  };
  struct server *server = lua_newuserdatauv(L, sizeof *server, 0);
  *server = (struct server){0};
  luaL_setmetatable(L, SERVER);
  int error = braid_serve_open(&server->serve, listener, &options);
  return error ? push_failure(L, strerror(error), error) : 1;
}

static void close_server(struct server *server) {
  server->closing = true;
  if (server->running || !server->serve) return;
  braid_serve_close(server->serve);
  server->serve = NULL;
}

/* server:close(): every exchange is over; inside a dispatch, as soon as the run ends. */
static int server_close(lua_State *L) {
  close_server(luaL_checkudata(L, 1, SERVER));
  return 0;
}

/* server:drain(): accepts no more, each connection closes after its current exchange. */
static int server_drain(lua_State *L) {
  braid_serve_drain(check_server(L)->serve);
  return 0;
}

static int server_fd(lua_State *L) {
  lua_pushinteger(L, braid_serve_fd(check_server(L)->serve));
  return 1;
}

/* server:timeout() -> seconds after which it wants to run in any case, or nil */
static int server_timeout(lua_State *L) {
  int64_t milliseconds = braid_serve_timeout(check_server(L)->serve);
  if (milliseconds < 0) return 0;
  lua_pushnumber(L, (lua_Number)milliseconds / 1000);
  return 1;
}

/* server:counts() -> accepted so far, connections now, exchanges now */
static int server_counts(lua_State *L) {
  struct braid_serve_counts counts = braid_serve_count(check_server(L)->serve);
  lua_pushinteger(L, (lua_Integer)counts.accepted);
  lua_pushinteger(L, counts.connections);
  lua_pushinteger(L, counts.exchanges);
  return 3;
}

/* Dispatching. */

/* (dispatch, exchange): calls dispatch(number, method, path, query or nil). */
static int call_dispatch(lua_State *L) {
  const struct braid_exchange *exchange = lua_touserdata(L, 2);
  size_t size;
  const char *target = braid_exchange_target(exchange, &size);
  const char *mark = memchr(target, '?', size);
  lua_settop(L, 1);
  lua_pushinteger(L, braid_exchange_number(exchange));
  lua_pushstring(L, braid_exchange_method(exchange));
  lua_pushlstring(L, target, mark ? (size_t)(mark - target) : size);
  if (mark) lua_pushlstring(L, mark + 1, size - (size_t)(mark - target) - 1);
  lua_call(L, mark ? 4 : 3, 0);
  return 0;
}

/* What dispatch itself could not do, such as find memory for a task. */
static void dispatch_failed(lua_State *L, struct braid_exchange *exchange) {
  static const char body[] = "{\"error\":\"Internal Server Error\"}";
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "braid: a request could not be dispatched: %s\n", message ? message : "(no message)");
  if (braid_exchange_prepare(exchange, 500, body, sizeof body - 1) &&
      braid_exchange_add_header(exchange, "Content-Type", "application/json"))
    braid_exchange_send(exchange);
}

/* The dispatch function is the second argument of server:run, whose state is the context. */
static void dispatch(struct braid_exchange *exchange, void *context) {
  lua_State *L = context;
  lua_pushcfunction(L, call_dispatch);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, exchange);
  if (lua_pcall(L, 2, 0, 0)) dispatch_failed(L, exchange);
  lua_settop(L, 2);
}

/* server:run(dispatch) does all work there is, once. */
static int server_run(lua_State *L) {
  struct server *server = check_server(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (server->running) return luaL_error(L, "the server runs already");
  lua_settop(L, 2);
  server->running = true;
  braid_serve_run(server->serve, dispatch, L);
  server->running = false;
  if (server->closing) close_server(server);
  return 0;
}

/* Exchanges. */

static const char *list_text(lua_State *L, int index, lua_Integer i) {
  if (lua_rawgeti(L, index, i) != LUA_TSTRING) luaL_error(L, "header %I is not a string", (LUAI_UACINT)i);
  const char *text = lua_tostring(L, -1); /* the table keeps it alive */
  lua_pop(L, 1);
  return text;
}

/* Adds the headers of the list at `index`; pushes a text and returns false when one is refused. */
static bool add_headers(lua_State *L, int index, struct braid_exchange *exchange) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i < count; i += 2) {
    const char *name = list_text(L, index, i), *value = list_text(L, index, i + 1);
    if (braid_exchange_add_header(exchange, name, value)) continue;
    lua_pushfstring(L, "the header %s cannot be sent: libmicrohttpd refuses it, or there are more than 4 KiB of them",
                    name);
    return false;
  }
  return true;
}

/* server:respond(number, status, body, headers) -> "now" inside a dispatch; "later" when the server has to run once
 * more; nil when nobody waits for the answer any more; nil and a text when it cannot be sent. The headers are a list
 * of names and values in turn. */
static int server_respond(lua_State *L) {
  struct server *server = luaL_checkudata(L, 1, SERVER);
  struct braid_exchange *exchange = find_exchange(L);
  unsigned status = (unsigned)luaL_checkinteger(L, 3);
  size_t size;
  const char *body = luaL_checklstring(L, 4, &size);
  luaL_checktype(L, 5, LUA_TTABLE);
  if (!exchange || braid_exchange_answered(exchange)) return 0;
  bool prepared = braid_exchange_prepare(exchange, status, body, size);
  if (prepared && !add_headers(L, 5, exchange)) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (!prepared || !braid_exchange_send(exchange)) {
    lua_pushnil(L);
    lua_pushliteral(L, "not enough memory");
    return 2;
  }
  lua_pushstring(L, server->running ? "now" : "later");
  return 1;
}

/* server:body(number) -> the request's body, or nil when the exchange is over */
static int server_body(lua_State *L) {
  const struct braid_exchange *exchange = find_exchange(L);
  if (!exchange) return 0;
  size_t size;
  const char *body = braid_exchange_body(exchange, &size);
  lua_pushlstring(L, body, size);
  return 1;
}

/* server:headers(number) -> list of names and values in turn, or nil when the exchange is over */
static int server_headers(lua_State *L) {
  const struct braid_exchange *exchange = find_exchange(L);
  if (!exchange) return 0;
  size_t count = braid_exchange_fields(exchange, NULL, 0);
  struct braid_field *fields = lua_newuserdatauv(L, count * sizeof *fields, 0);
  count = braid_exchange_fields(exchange, fields, count);
  lua_createtable(L, (int)count * 2, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushlstring(L, fields[i].name, fields[i].name_size);
    lua_rawseti(L, -2, (lua_Integer)i * 2 + 1);
    lua_pushlstring(L, fields[i].value, fields[i].value_size);
    lua_rawseti(L, -2, (lua_Integer)i * 2 + 2);
  }
  return 1;
}

/* server:peer(number) -> the client's address, or nil */
static int server_peer(lua_State *L) {
  const struct braid_exchange *exchange = find_exchange(L);
  char text[64];
  if (!exchange || !braid_exchange_peer(exchange, text, sizeof text)) return 0;
  lua_pushstring(L, text);
  return 1;
}

static const luaL_Reg methods[] = {
    {"run", server_run},       {"respond", server_respond}, {"fd", server_fd},           {"timeout", server_timeout},
    {"counts", server_counts}, {"body", server_body},       {"headers", server_headers}, {"peer", server_peer},
    {"drain", server_drain},   {"close", server_close},     {"__gc", server_close},      {NULL, NULL},
};

static const luaL_Reg functions[] = {{"listen", serve_listen}, {"open", serve_open}, {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_braid_serve_core(lua_State *L);

int luaopen_braid_serve_core(lua_State *L) {
  luaL_checkversion(L);
  if (luaL_newmetatable(L, SERVER)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  luaL_newlib(L, functions);
  return 1;
}
