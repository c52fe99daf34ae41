/* SPDX-License-Identifier: MIT
 * The module braid.serve_core: the HTTP server, for Lua. It is a separate module and uses no scheduler, so a machine
 * without libmicrohttpd still has all of the rest. The state's own thread; nothing blocks, except listen while it
 * resolves a name.
 *
 * Only here a library's callback calls Lua: a request is dispatched while libmicrohttpd runs, because a response that
 * is ready when its callback returns costs a third less. The call is protected, so no error jumps over libmicrohttpd's
 * frames; and Lua cannot yield in it. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/web/static_file.h"
#include "core/web/exchange.h"
#include "core/web/listen.h"
#include "core/web/serve.h"
#include "lua/web/lsupervise.h"

#define SERVER "braid.serve"
#define FILE_HANDLE "braid.serve.file"

struct server {
  struct braid_serve *serve; /* NULL: it is closed */
  bool running, closing;     /* closing: it closes when it does not run any more */
};

static struct server *check_server(lua_State *L) {
  struct server *server = luaL_checkudata(L, 1, SERVER);
  if (!server->serve) luaL_error(L, "the server is closed");
  return server;
}

/* Returns the exchange with the number at 2; NULL: it is over. */
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

/* listen(host, port, shared) -> descriptor, port; or nil, text, errno (-1: the name could not be resolved) */
static int serve_listen(lua_State *L) {
  const char *host = luaL_checkstring(L, 1), *problem = NULL;
  unsigned port = (unsigned)luaL_checkinteger(L, 2);
  int fd, error = braid_listen(host, &port, lua_toboolean(L, 3), &fd, &problem);
  if (error) return push_failure(L, problem ? problem : strerror(error), error);
  lua_pushinteger(L, fd);
  lua_pushinteger(L, port);
  return 2;
}

/* Returns nanoseconds; 0 (no limit) for more than 1e9 seconds. */
static int64_t check_seconds(lua_State *L, int index) {
  lua_Number seconds = luaL_checknumber(L, index);
  return seconds < 1e9 ? (int64_t)(seconds * 1e9) : 0;
}

/* open(listener, max_body, max_header, idle_timeout, request_timeout, max_connections, key, certificate) -> server; or
 * nil, text, errno. Takes over the listener. */
static int serve_open(lua_State *L) {
  int listener = (int)luaL_checkinteger(L, 1);
  struct braid_serve_options options = {
      .max_body = (size_t)luaL_checkinteger(L, 2),
      .max_header = (size_t)luaL_checkinteger(L, 3),
      .idle_timeout = check_seconds(L, 4),
      .request_timeout = check_seconds(L, 5),
      .max_connections = (unsigned)luaL_checkinteger(L, 6),
      .key = luaL_optstring(L, 7, NULL),
      .certificate = luaL_optstring(L, 8, NULL),
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

/* server:close(): ends every exchange; in a dispatch it closes when the run ends */
static int server_close(lua_State *L) {
  close_server(luaL_checkudata(L, 1, SERVER));
  return 0;
}

/* server:drain(): accepts no more connections, and closes each one after its current exchange */
static int server_drain(lua_State *L) {
  braid_serve_drain(check_server(L)->serve);
  return 0;
}

static int server_fd(lua_State *L) {
  lua_pushinteger(L, braid_serve_fd(check_server(L)->serve));
  return 1;
}

/* server:departures_fd() -> readable when clients have left; then call server:look() */
static int server_departures_fd(lua_State *L) {
  lua_pushinteger(L, braid_serve_departures_fd(check_server(L)->serve));
  return 1;
}

/* server:is_quiet(linger) -> whether there is no exchange, and no connection was used for so many seconds */
static int server_is_quiet(lua_State *L) {
  struct server *server = check_server(L);
  lua_pushboolean(L, braid_serve_is_quiet(server->serve, (int64_t)(luaL_checknumber(L, 2) * 1e9)));
  return 1;
}

/* server:timeout() -> seconds until it must run in any case, or nothing */
static int server_timeout(lua_State *L) {
  int64_t milliseconds = braid_serve_timeout(check_server(L)->serve);
  if (milliseconds < 0) return 0;
  lua_pushnumber(L, (lua_Number)milliseconds / 1000);
  return 1;
}

/* server:counts() -> connections accepted in total, connections now, exchanges now */
static int server_counts(lua_State *L) {
  struct braid_serve_counts counts = braid_serve_count(check_server(L)->serve);
  lua_pushinteger(L, (lua_Integer)counts.accepted);
  lua_pushinteger(L, counts.connections);
  lua_pushinteger(L, counts.exchanges);
  return 3;
}

/* ---- dispatch ------------------------------------------------------------------------------------------------- */

enum { DISPATCH = 2, TELL, ADMIT }; /* arguments of server:run; its Lua state is the owner's context */

/* Pushes number, method, path, and query or nil. */
static void push_head(lua_State *L, const struct braid_exchange *exchange) {
  size_t size;
  const char *target = braid_exchange_target(exchange, &size);
  const char *mark = memchr(target, '?', size);
  lua_pushinteger(L, braid_exchange_number(exchange));
  lua_pushstring(L, braid_exchange_method(exchange));
  lua_pushlstring(L, target, mark ? (size_t)(mark - target) : size);
  if (mark)
    lua_pushlstring(L, mark + 1, size - (size_t)(mark - target) - 1);
  else
    lua_pushnil(L);
}

/* (dispatch, exchange): calls dispatch(number, method, path, query or nil) */
static int call_dispatch(lua_State *L) {
  const struct braid_exchange *exchange = lua_touserdata(L, 2);
  lua_settop(L, 1);
  push_head(L, exchange);
  lua_call(L, 4, 0);
  return 0;
}

/* Responds with 500, because dispatch itself failed, for example without memory for a task. */
static void dispatch_failed(lua_State *L, struct braid_exchange *exchange) {
  static const char body[] = "{\"error\":\"Internal Server Error\"}";
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "braid: a request could not be dispatched: %s\n", message ? message : "(no message)");
  if (braid_exchange_prepare(exchange, 500, body, sizeof body - 1) &&
      braid_exchange_add_header(exchange, "Content-Type", "application/json"))
    braid_exchange_send(exchange);
}

static void dispatch(struct braid_exchange *exchange, void *context) {
  lua_State *L = context;
  int top = lua_gettop(L);
  lua_pushcfunction(L, call_dispatch);
  lua_pushvalue(L, DISPATCH);
  lua_pushlightuserdata(L, exchange);
  if (lua_pcall(L, 2, 0, 0)) dispatch_failed(L, exchange);
  lua_settop(L, top);
}

/* (admit, exchange): calls admit(number, method, path, query or nil) -> max_body or nil, streamed */
static int call_admit(lua_State *L) {
  struct braid_exchange *exchange = lua_touserdata(L, 2);
  lua_settop(L, 1);
  push_head(L, exchange);
  lua_call(L, 4, 2);
  size_t most = (size_t)luaL_optinteger(L, -2, (lua_Integer)exchange->max_body);
  braid_exchange_admit(exchange, most, lua_toboolean(L, -1));
  return 0;
}

static void admit(struct braid_exchange *exchange, void *context) {
  lua_State *L = context;
  int top = lua_gettop(L);
  lua_pushcfunction(L, call_admit);
  lua_pushvalue(L, ADMIT);
  lua_pushlightuserdata(L, exchange);
  lua_pcall(L, 2, 0, 0); /* if it fails, the server's own limit holds */
  lua_settop(L, top);
}

/* Calls tell(number, gone, late, room, body) for each exchange with news. */
static void tell(lua_State *L, struct server *server) {
  int64_t number;
  unsigned news;
  while (server->serve && braid_serve_next_news(server->serve, &number, &news)) {
    lua_pushvalue(L, TELL);
    lua_pushinteger(L, number);
    for (unsigned bit = BRAID_NEWS_GONE; bit <= BRAID_NEWS_BODY; bit <<= 1) lua_pushboolean(L, (news & bit) != 0);
    lua_call(L, 5, 0);
  }
}

/* server:run(dispatch, tell, admit or nil): does all work that there is, once */
static int server_run(lua_State *L) {
  struct server *server = check_server(L);
  luaL_checktype(L, DISPATCH, LUA_TFUNCTION);
  luaL_checktype(L, TELL, LUA_TFUNCTION);
  if (server->running) return luaL_error(L, "the server runs already");
  lua_settop(L, ADMIT);
  struct braid_serve_owner owner = {lua_isnil(L, ADMIT) ? NULL : admit, dispatch, L};
  server->running = true;
  braid_serve_run(server->serve, &owner);
  server->running = false;
  tell(L, server);
  if (server->closing) close_server(server);
  return 0;
}

/* server:look(): finds the clients that have left; the next run reports them */
static int server_look(lua_State *L) {
  braid_serve_look(check_server(L)->serve);
  return 0;
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

struct file {
  int fd; /* -1: closed, or used by a response */
};

/* open_file(root, path) -> file, size, seconds and nanoseconds of the last change; or nil, text, errno */
static int serve_open_file(lua_State *L) {
  const char *root = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
  struct file *file = lua_newuserdatauv(L, sizeof *file, 0);
  file->fd = -1;
  luaL_setmetatable(L, FILE_HANDLE);
  struct braid_static_file static_file;
  int error = braid_static_file_open(root, path, &static_file);
  if (error) return push_failure(L, strerror(error), error);
  file->fd = static_file.fd;
  lua_pushinteger(L, (lua_Integer)static_file.size);
  lua_pushinteger(L, static_file.seconds);
  lua_pushinteger(L, static_file.nanoseconds);
  return 4;
}

/* file:read(offset, size) -> bytes, fewer at the end of the file; nothing when it cannot be read */
static int file_read(lua_State *L) {
  const struct file *file = luaL_checkudata(L, 1, FILE_HANDLE);
  lua_Integer offset = luaL_checkinteger(L, 2), size = luaL_checkinteger(L, 3);
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, (size_t)size);
  ssize_t count = pread(file->fd, room, (size_t)size, (off_t)offset);
  if (count < 0) return 0;
  luaL_pushresultsize(&buffer, (size_t)count);
  return 1;
}

static int file_close(lua_State *L) {
  struct file *file = luaL_checkudata(L, 1, FILE_HANDLE);
  if (file->fd >= 0) close(file->fd);
  file->fd = -1;
  return 0;
}

/* ---- exchanges ------------------------------------------------------------------------------------------------ */

static const char *list_text(lua_State *L, int index, lua_Integer i) {
  if (lua_rawgeti(L, index, i) != LUA_TSTRING) luaL_error(L, "header %I is not a string", (LUAI_UACINT)i);
  const char *text = lua_tostring(L, -1); /* the list keeps it alive */
  lua_pop(L, 1);
  return text;
}

/* Adds the headers of the list at `index`. If one is refused, pushes a text and returns false. */
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

/* Adds the headers of the list at `index` to a prepared response, and sends it. */
static int send_prepared(lua_State *L, const struct server *server, struct braid_exchange *exchange, bool prepared,
                         int index) {
  lua_pushnil(L);
  if (prepared && !add_headers(L, index, exchange)) return 2;
  if (!prepared || !braid_exchange_send(exchange)) {
    lua_pushliteral(L, "not enough memory");
    return 2;
  }
  lua_pushstring(L, server->running ? "now" : "later");
  return 1;
}

/* server:respond(number, status, body, headers) -> "now" in a dispatch; "later" when the server must run once more;
 * nothing when nobody waits for the response any more; nil and a text when it cannot be sent. `headers` is a list:
 * name, value, name, value, ... */
static int server_respond(lua_State *L) {
  const struct server *server = luaL_checkudata(L, 1, SERVER);
  struct braid_exchange *exchange = find_exchange(L);
  unsigned status = (unsigned)luaL_checkinteger(L, 3);
  size_t size;
  const char *body = luaL_checklstring(L, 4, &size);
  luaL_checktype(L, 5, LUA_TTABLE);
  if (!exchange || braid_exchange_answered(exchange)) return 0;
  return send_prepared(L, server, exchange, braid_exchange_prepare(exchange, status, body, size), 5);
}

/* server:respond_file(number, status, file, headers, offset, size): as respond. Takes over the file's descriptor. */
static int server_respond_file(lua_State *L) {
  const struct server *server = luaL_checkudata(L, 1, SERVER);
  struct braid_exchange *exchange = find_exchange(L);
  unsigned status = (unsigned)luaL_checkinteger(L, 3);
  struct file *file = luaL_checkudata(L, 4, FILE_HANDLE);
  luaL_checktype(L, 5, LUA_TTABLE);
  uint64_t offset = (uint64_t)luaL_checkinteger(L, 6), size = (uint64_t)luaL_checkinteger(L, 7);
  if (!exchange || braid_exchange_answered(exchange) || file->fd < 0) return 0;
  int fd = file->fd;
  file->fd = -1;
  return send_prepared(L, server, exchange, braid_exchange_prepare_file(exchange, status, fd, offset, size), 5);
}

/* server:respond_stream(number, status, headers): as respond; then server:write and server:finish */
static int server_respond_stream(lua_State *L) {
  const struct server *server = luaL_checkudata(L, 1, SERVER);
  struct braid_exchange *exchange = find_exchange(L);
  unsigned status = (unsigned)luaL_checkinteger(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  if (!exchange || braid_exchange_answered(exchange)) return 0;
  return send_prepared(L, server, exchange, braid_exchange_prepare_stream(exchange, status), 4);
}

/* server:write(number, bytes) -> whether there is room for more; nothing when the client has left; nil and a text when
 * memory is out */
static int server_write(lua_State *L) {
  struct braid_exchange *exchange = find_exchange(L);
  size_t size;
  const char *data = luaL_checklstring(L, 3, &size);
  if (!exchange) return 0;
  if (!braid_exchange_write(exchange, data, size)) {
    lua_pushnil(L);
    lua_pushliteral(L, "not enough memory");
    return 2;
  }
  lua_pushboolean(L, braid_exchange_has_room(exchange));
  return 1;
}

/* server:finish(number, failed): ends a stream */
static int server_finish(lua_State *L) {
  struct braid_exchange *exchange = find_exchange(L);
  if (exchange) braid_exchange_end(exchange, lua_toboolean(L, 3));
  return 0;
}

/* server:piece(number) -> what has come of a streamed body (it may be ""), and "more", "ended" or "too large"; nothing
 * when the client has left */
static int server_piece(lua_State *L) {
  static const char *const names[] = {"more", "ended", "too large"};
  struct braid_exchange *exchange = find_exchange(L);
  if (!exchange) return 0;
  const char *data;
  size_t size;
  enum braid_body body = braid_exchange_piece(exchange, &data, &size);
  lua_pushlstring(L, data, size);
  lua_pushstring(L, names[body]);
  if (size > 0) braid_exchange_forget_piece(exchange);
  return 2;
}

/* server:body(number) -> the request's body; nothing when the exchange is over */
static int server_body(lua_State *L) {
  const struct braid_exchange *exchange = find_exchange(L);
  if (!exchange) return 0;
  size_t size;
  const char *body = braid_exchange_body(exchange, &size);
  lua_pushlstring(L, body, size);
  return 1;
}

/* server:headers(number) -> a list: name, value, name, value, ...; nothing when the exchange is over */
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

/* server:peer(number) -> the client's address, or nothing */
static int server_peer(lua_State *L) {
  const struct braid_exchange *exchange = find_exchange(L);
  char text[64];
  if (!exchange || !braid_exchange_peer(exchange, text, sizeof text)) return 0;
  lua_pushstring(L, text);
  return 1;
}

static const luaL_Reg methods[] = {
    {"run", server_run},
    {"look", server_look},
    {"fd", server_fd},
    {"departures_fd", server_departures_fd},
    {"timeout", server_timeout},
    {"counts", server_counts},
    {"is_quiet", server_is_quiet},
    {"respond", server_respond},
    {"respond_file", server_respond_file},
    {"respond_stream", server_respond_stream},
    {"write", server_write},
    {"finish", server_finish},
    {"body", server_body},
    {"piece", server_piece},
    {"headers", server_headers},
    {"peer", server_peer},
    {"drain", server_drain},
    {"close", server_close},
    {"__gc", server_close},
    {NULL, NULL},
};

static const luaL_Reg file_methods[] = {{"read", file_read}, {"close", file_close}, {"__gc", file_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"listen", serve_listen}, {"open", serve_open}, {"open_file", serve_open_file}, {NULL, NULL}};

static void new_class(lua_State *L, const char *name, const luaL_Reg *functions_of) {
  if (luaL_newmetatable(L, name)) {
    luaL_setfuncs(L, functions_of, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_braid_serve_core(lua_State *L);

int luaopen_braid_serve_core(lua_State *L) {
  luaL_checkversion(L);
  new_class(L, SERVER, methods);
  new_class(L, FILE_HANDLE, file_methods);
  luaL_newlib(L, functions);
  lsupervise_open(L);
  return 1;
}
