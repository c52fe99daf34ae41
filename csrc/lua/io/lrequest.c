/* SPDX-License-Identifier: MIT
 * Fields are read without metamethods: so the table itself keeps every string alive. */
#include "lua/io/lrequest.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/http/coding.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

/* Pushes a field; returns its type. */
static int push(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

/* Raises. The field is on the top of the stack. */
static void refuse(lua_State *L, const char *name, const char *expected) {
  int value = lua_gettop(L);
  lua_pushfstring(L, "request.%s", name);
  larg_error(L, value, lua_tostring(L, -1), expected);
}

/* A string, which may contain zero bytes. NULL if the field is nil. */
static const char *bytes(lua_State *L, int index, const char *name, size_t *size) {
  int type = push(L, index, name);
  if (type != LUA_TSTRING && type != LUA_TNIL) refuse(L, name, "a string");
  const char *text = lua_tolstring(L, -1, size);
  lua_pop(L, 1);
  return text;
}

/* A string without zero bytes, because libcurl ends strings there. NULL if the field is nil. */
static const char *text(lua_State *L, int index, const char *name) {
  size_t size;
  const char *text = bytes(L, index, name, &size);
  if (!text || strlen(text) == size) return text;
  push(L, index, name);
  refuse(L, name, "a string without zero bytes");
  return NULL;
}

static lua_Number number(lua_State *L, int index, const char *name) {
  int type = push(L, index, name);
  if (type != LUA_TNUMBER && type != LUA_TNIL) refuse(L, name, "a number");
  lua_Number value = lua_tonumber(L, -1); /* nil: 0 */
  lua_pop(L, 1);
  return value;
}

static lua_Integer integer(lua_State *L, int index, const char *name, lua_Integer most) {
  int type = push(L, index, name), whole;
  lua_Integer value = lua_tointegerx(L, -1, &whole);
  if (type != LUA_TNIL && (!whole || value < 0 || value > most)) refuse(L, name, "an integer in its range");
  lua_pop(L, 1);
  return value;
}

static bool flag(lua_State *L, int index, const char *name) {
  push(L, index, name);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* libcurl takes at most INT_MAX: about 24 days. */
static long milliseconds(lua_Number seconds) { return seconds < INT_MAX / 1000 ? (long)(seconds * 1000) : INT_MAX; }

static long version_of(lua_Integer number) {
  switch (number) {
    case 10: return CURL_HTTP_VERSION_1_0;
    case 11: return CURL_HTTP_VERSION_1_1;
    case 20: return CURL_HTTP_VERSION_2_0;
    case 21: return CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    default: return CURL_HTTP_VERSION_NONE;
  }
}

static long tls_version_of(lua_Integer number) {
  switch (number) {
    case 12: return CURL_SSLVERSION_TLSv1_2;
    case 13: return CURL_SSLVERSION_TLSv1_3;
    default: return CURL_SSLVERSION_DEFAULT;
  }
}

/* Nanoseconds; 0: no limit. */
static int64_t patience(lua_State *L, int index, const char *name) {
  lua_Number seconds = number(L, index, name);
  if (!(seconds >= 0)) {
    push(L, index, name);
    refuse(L, name, "seconds");
  }
  return seconds < 1e9 ? (int64_t)(seconds * (lua_Number)BRAID_SECOND) : 0;
}

/* Reads all but the lists. */
static void read_options(lua_State *L, int index, struct braid_request *request) {
  *request = (struct braid_request){.user = text(L, index, "user"),
                                    .password = text(L, index, "password"),
                                    .proxy = text(L, index, "proxy"),
                                    .no_proxy = text(L, index, "no_proxy"),
                                    .ca_file = text(L, index, "ca_file"),
                                    .unix_socket = text(L, index, "unix_socket"),
                                    .cookies = text(L, index, "cookies"),
                                    .connect_timeout = milliseconds(number(L, index, "connect_timeout")),
                                    .patience = {.pool = patience(L, index, "pool_timeout"),
                                                 .read = patience(L, index, "read_timeout"),
                                                 .write = patience(L, index, "write_timeout")},
                                    .upload = flag(L, index, "upload"),
                                    .max_body = integer(L, index, "max_body", LUA_MAXINTEGER),
                                    .http_version = version_of(integer(L, index, "version", INT_MAX)),
                                    .verify = flag(L, index, "verify"),
                                    .cert = text(L, index, "cert"),
                                    .key = text(L, index, "key"),
                                    .pin = text(L, index, "pin"),
                                    .tls_version = tls_version_of(integer(L, index, "tls_version", INT_MAX)),
                                    .interface = text(L, index, "interface"),
                                    .netrc = text(L, index, "netrc"),
                                    .decode = flag(L, index, "decode"),
                                    .follows = integer(L, index, "redirects", INT_MAX) > 0,
                                    .auth = flag(L, index, "digest") ? (long)CURLAUTH_DIGEST : (long)CURLAUTH_BASIC};
  request->body = bytes(L, index, "body", &request->body_size);
  request->upload_size = push(L, index, "upload_size") == LUA_TNIL ? -1 : 0;
  lua_pop(L, 1);
  if (request->upload_size == 0) request->upload_size = integer(L, index, "upload_size", LUA_MAXINTEGER);
}

/* Whether a header line has this name. */
static bool has_name(const char *line, const char *name) {
  size_t size = strlen(name);
  return strncasecmp(line, name, size) == 0 && (line[size] == ':' || line[size] == ';');
}

static bool append(struct braid_request *request, const char *line) {
  struct curl_slist *longer = curl_slist_append(request->headers, line);
  if (longer) request->headers = longer;
  return longer;
}

/* The headers that every request has, unless the caller gives them. libcurl makes a text of each line anew for each
 * request, so both are one line, with a line end in it. False: memory is out. */
static bool add_usual(struct braid_request *request, bool names_agent, bool names_encoding) {
  char line[128];
  const char *agent = names_agent ? "" : "User-Agent: braid", *codings = request->decode ? braid_coding_names() : "";
  if (names_encoding) codings = "";
  snprintf(line, sizeof line, "%s%s%s%s", agent, *agent && *codings ? "\r\n" : "", *codings ? "Accept-Encoding: " : "",
           codings);
  return !*line || append(request, line);
}

/* Makes libcurl's lists. False: memory is out; does not raise. */
static bool read_lists(lua_State *L, int lines, struct braid_request *request, const char *ways) {
  bool names_agent = false, names_encoding = false, there = true;
  if (!lua_isnil(L, lines)) {
    for (lua_Integer i = 1; there && lua_rawgeti(L, lines, i) == LUA_TSTRING; i++) {
      const char *line = lua_tostring(L, -1);
      names_agent |= has_name(line, "User-Agent");
      names_encoding |= has_name(line, "Accept-Encoding");
      there = append(request, line);
      lua_pop(L, 1);
    }
  }
  return there && add_usual(request, names_agent, names_encoding) && braid_request_split(ways, &request->ways);
}

/* http_request(method, record) -> request. Neither the record nor what is in it may be changed afterwards. */
static int request_new(lua_State *L) {
  const char *method = luaL_checkstring(L, 1);
  if (!lua_istable(L, 2)) larg_error(L, 2, "request", "a table");
  const char *problem = braid_curl_load();
  if (problem) return lerror_raise(L, "system", "libcurl cannot be loaded: %s", problem);
  lua_settop(L, 2);
  struct braid_request *request = lua_newuserdatauv(L, sizeof *request, 2);
  *request = (struct braid_request){0};
  luaL_setmetatable(L, LREQUEST);
  for (int i = 1; i <= 2; i++) {
    lua_pushvalue(L, i);
    lua_setiuservalue(L, 3, i);
  }
  read_options(L, 2, request);
  request->method = method;
  request->repeatable = braid_method_repeatable(method);
  const char *ways = text(L, 2, "ways");
  if (push(L, 2, "lines") != LUA_TTABLE && !lua_isnil(L, -1)) refuse(L, "lines", "a list");
  if (!read_lists(L, lua_gettop(L), request, ways)) return lerror_memory(L);
  braid_request_number(request);
  lua_settop(L, 3);
  return 1;
}

static int request_free(lua_State *L) {
  struct braid_request *request = lua_touserdata(L, 1);
  if (request->headers) curl_slist_free_all(request->headers);
  if (request->ways) curl_slist_free_all(request->ways);
  request->headers = request->ways = NULL;
  return 0;
}

void lrequest_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"http_request", request_new}, {NULL, NULL}};
  static const luaL_Reg requests[] = {{"__gc", request_free}, {NULL, NULL}};
  sched_register(L, functions);
  sched_class(L, LREQUEST, requests);
  lua_pop(L, 1);
}
