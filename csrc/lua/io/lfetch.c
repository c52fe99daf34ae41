/* SPDX-License-Identifier: MIT
 * HTTP requests: userdata "braid.http_session" (the connections of a session) and "braid.transfer" (a response that is
 * read in pieces).
 *
 * A session owns its transfers and frees them when it is closed. A plain fetch keeps its transfer's address in the
 * continuation, a stream keeps it in a userdata. So both check first whether the session is open; it is on their stack
 * or in their user value. */
#include <lauxlib.h>
#include <string.h>
#include <strings.h>

#include "core/http/statistics.h"
#include "core/http/transfer.h"
#include "core/http/url.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/lrequest.h"
#include "lua/sched/lsched.h"

#define SESSION "braid.http_session"
#define TRANSFER "braid.transfer"
#define ADDRESS "braid.url"

/* The stack indices of the arguments of fetch and stream. */
enum argument { SESSION_AT = 1, URL, REQUEST, TIMEOUT, LAST = TIMEOUT };

/* Failures in addition to libcurl's codes: the session was closed; the deadline passed. */
enum { CLOSED = -1, EXPIRED = -2 };

static struct braid_http_session *session_at(lua_State *L, int index) { return larg_object(L, index, SESSION); }

/* A string without zero bytes, because libcurl ends strings there. */
static const char *text_at(lua_State *L, int index, const char *name) {
  size_t size;
  const char *text = larg_string(L, index, name, &size);
  if (strlen(text) != size) larg_error(L, index, name, "a string without zero bytes");
  return text;
}

/* The request at its place, which stays alive there, with its URL. */
static struct braid_request request_at(lua_State *L) {
  const struct braid_request *prepared = larg_object(L, REQUEST, LREQUEST);
  struct braid_request request = *prepared;
  request.url = text_at(L, URL, "url");
  lua_settop(L, LAST);
  return request;
}

/* ---- outcomes ------------------------------------------------------------------------------------------------- */

/* Pushes nil and a code (libcurl's or ours); with a transfer also libcurl's message, whether a request was sent, and
 * the status by which a proxy refused (nil: it did not). */
static int push_failure(lua_State *L, int code, const struct braid_transfer *transfer) {
  lua_pushnil(L);
  lua_pushinteger(L, code);
  if (!transfer) return 2;
  const char *text = transfer->text;
  if (!*text && code > 0) text = curl_easy_strerror((CURLcode)code);
  lua_pushstring(L, text);
  struct braid_transfer_facts facts = braid_transfer_facts(transfer);
  lua_pushboolean(L, facts.asked);
  if (facts.refusal < 300) return 4;
  lua_pushinteger(L, facts.refusal);
  return 5;
}

/* Pushes status, body, head, HTTP version, the five times as the bytes of one string, and the peer's address and port.
 */
static int push_response(lua_State *L, const struct braid_transfer *transfer) {
  struct braid_transfer_facts facts = braid_transfer_facts(transfer);
  lua_pushinteger(L, facts.status);
  lua_pushlstring(L, transfer->response.body.data, transfer->response.body.size);
  lua_pushlstring(L, transfer->response.head.data, transfer->response.head.size);
  lua_pushinteger(L, facts.http_version);
  lua_pushlstring(L, (const char *)facts.times, sizeof facts.times);
  lua_pushstring(L, facts.address ? facts.address : "");
  lua_pushinteger(L, facts.port);
  return 7;
}

/* If memory runs out here, the transfer stays alive until its session frees it. */
static int push_outcome(lua_State *L, struct braid_transfer *transfer) {
  int code = transfer->done ? (int)transfer->code : EXPIRED;
  int count = code == CURLE_OK ? push_response(L, transfer) : push_failure(L, code, transfer);
  braid_transfer_release(transfer);
  return count;
}

/* ---- fetch ---------------------------------------------------------------------------------------------------- */

static int fetch_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  struct braid_transfer *transfer = (struct braid_transfer *)context;
  const struct braid_http_session *session = lua_touserdata(L, SESSION_AT);
  if (!session->loop) {
    if (sched_stopped(end)) return sched_raise(L, sched, end);
    return push_failure(L, CLOSED, NULL);
  }
  if (end == BRAID_OK || end == BRAID_TIMEOUT) return push_outcome(L, transfer);
  braid_transfer_release(transfer);
  return sched_stopped(end) ? sched_raise(L, sched, end) : lerror_memory(L);
}

/* session:fetch(url, request, timeout) -> what push_outcome pushes. Suspends. */
static int fetch(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct braid_http_session *session = session_at(L, SESSION_AT);
  struct braid_request request = request_at(L);
  int64_t deadline = larg_timeout(L, TIMEOUT);
  if (!session->loop) return push_failure(L, CLOSED, NULL);
  struct braid_waiter *waiter = sched_begin(L, sched);
  struct braid_transfer *transfer = braid_http_session_start(session, &request);
  if (!transfer || transfer->done) {
    sched_forget(sched);
    return transfer ? push_outcome(L, transfer) : lerror_memory(L);
  }
  braid_transfer_await(transfer, waiter);
  return sched_park(L, sched, deadline, fetch_k, (lua_KContext)transfer);
}

/* ---- streams -------------------------------------------------------------------------------------------------- */

/* Its user values: the session, and the request. */
struct stream {
  struct braid_http_session *session;
  struct braid_transfer *transfer; /* NULL: released */
  int64_t deadline;
  int64_t until; /* deadline of the current read */
};

static struct stream *self(lua_State *L) { return larg_object(L, 1, TRANSFER); }

static bool alive(const struct stream *stream) { return stream->transfer && stream->session->loop; }

/* session:stream(arguments of fetch) -> transfer. Does not suspend. */
static int stream_new(lua_State *L) {
  struct braid_http_session *session = session_at(L, SESSION_AT);
  struct braid_request request = request_at(L);
  request.stream = true;
  struct stream *stream = lua_newuserdatauv(L, sizeof *stream, 2);
  *stream = (struct stream){.session = session, .deadline = larg_timeout(L, TIMEOUT)};
  lua_pushvalue(L, SESSION_AT);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, REQUEST);
  lua_setiuservalue(L, -2, 2);
  luaL_setmetatable(L, TRANSFER);
  if (!session->loop) return 1;
  stream->transfer = braid_http_session_start(session, &request);
  return stream->transfer ? 1 : lerror_memory(L);
}

/* Ends the wait for the transfer; returns how it ended. */
static enum braid_status end_wait(struct sched *sched, const struct stream *stream) {
  enum braid_status end = sched_end(sched);
  if (alive(stream)) braid_transfer_await(stream->transfer, NULL);
  return end;
}

static void refuse_second(lua_State *L, const struct stream *stream) {
  if (alive(stream) && stream->transfer->waiter) lerror_misuse(L, "another task is waiting for this response");
}

static int begin_k(lua_State *L, int status, lua_KContext context);

/* Returns what is known when the response has begun; nothing if the transfer ended without one, or the deadline passed.
 */
static int begin_on(lua_State *L, struct stream *stream) {
  struct braid_transfer *transfer = stream->transfer;
  if (!alive(stream)) return 0;
  if (braid_transfer_begun(transfer)) return transfer->response.begun ? push_response(L, transfer) : 0;
  struct sched *sched = sched_of(L);
  braid_transfer_await(transfer, sched_begin(L, sched));
  return sched_park(L, sched, stream->deadline, begin_k, 0);
}

static int begin_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct stream *stream = lua_touserdata(L, 1);
  enum braid_status end = end_wait(sched, stream);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  if (end == BRAID_NO_MEMORY) return lerror_memory(L);
  return end == BRAID_OK ? begin_on(L, stream) : 0;
}

/* transfer:begin() -> what push_response pushes; the body is what has arrived so far. Suspends. */
static int stream_begin(lua_State *L) {
  struct stream *stream = self(L);
  refuse_second(L, stream);
  return begin_on(L, stream);
}

static int read_k(lua_State *L, int status, lua_KContext context);

/* Returns what has arrived; nothing at the end of the transfer, even if it failed. */
static int read_on(lua_State *L, struct stream *stream) {
  struct braid_transfer *transfer = stream->transfer;
  if (!alive(stream)) return 0;
  if (!braid_transfer_ready(transfer)) {
    struct sched *sched = sched_of(L);
    if (stream->until == LARG_ONCE) return lerror_return(L, BRAID_TIMEOUT, "response:read");
    braid_transfer_await(transfer, sched_begin(L, sched));
    return sched_park(L, sched, stream->until < stream->deadline ? stream->until : stream->deadline, read_k, 0);
  }
  if (transfer->response.body.size == 0) return 0;
  lua_pushlstring(L, transfer->response.body.data, transfer->response.body.size);
  braid_transfer_taken(transfer);
  return 1;
}

static int read_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct stream *stream = lua_touserdata(L, 1);
  enum braid_status end = end_wait(sched, stream);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  if (end == BRAID_NO_MEMORY) return lerror_memory(L);
  if (end != BRAID_TIMEOUT) return read_on(L, stream);
  return braid_time_now() >= stream->deadline ? 0 : lerror_return(L, end, "response:read");
}

static int pass_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  sched_end(sched_of(L));
  return read_on(L, self(L));
}

/* transfer:read(timeout) -> the next piece of the body; nothing at its end | nil, err if the timeout passed first.
 * Suspends. */
static int stream_read(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct stream *stream = self(L);
  int64_t until = lua_isnone(L, 2) ? BRAID_NEVER : larg_timeout(L, 2);
  refuse_second(L, stream);
  stream->until = until;
  if (alive(stream) && !stream->transfer->done && braid_time_now() >= stream->deadline) return 0;
  if (sched_enter(L, sched)) return sched_pass(L, sched, pass_k, 0);
  return read_on(L, stream);
}

/* transfer:reading() -> whether a task waits for it. */
static int stream_reading(lua_State *L) {
  const struct stream *stream = self(L);
  lua_pushboolean(L, alive(stream) && stream->transfer->waiter);
  return 1;
}

static int give_k(lua_State *L, int status, lua_KContext context);

/* The stack: the transfer, and the piece. */
static int give_on(lua_State *L, struct stream *stream) {
  struct braid_transfer *transfer = stream->transfer;
  if (!alive(stream) || transfer->done) return 0;
  if (!braid_transfer_hungry(transfer)) {
    struct sched *sched = sched_of(L);
    braid_transfer_await_hunger(transfer, sched_begin(L, sched));
    return sched_park(L, sched, BRAID_NEVER, give_k, 0);
  }
  size_t size = 0;
  const char *piece = lua_isnil(L, 2) ? NULL : lua_tolstring(L, 2, &size);
  if (!braid_transfer_give(transfer, piece, size)) return lerror_memory(L);
  lua_pushboolean(L, true);
  return 1;
}

static int give_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct stream *stream = lua_touserdata(L, 1);
  enum braid_status end = sched_end(sched);
  if (alive(stream)) braid_transfer_await_hunger(stream->transfer, NULL);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  if (end == BRAID_NO_MEMORY) return lerror_memory(L);
  return give_on(L, stream);
}

/* transfer:give(piece) -> true: a piece of the request's body, or nil: that was all | nothing: no more is wanted.
 * Suspends while too much waits to be sent. One task gives. */
static int stream_give(lua_State *L) {
  struct stream *stream = self(L);
  if (!lua_isnoneornil(L, 2)) luaL_checkstring(L, 2);
  lua_settop(L, 2);
  return give_on(L, stream);
}

/* transfer:finish() -> what push_outcome pushes; the body is the rest that was not read. Call it once. A running
 * transfer is stopped, and counts as timed out. */
static int stream_finish(lua_State *L) {
  struct stream *stream = self(L);
  if (!alive(stream)) return push_failure(L, CLOSED, NULL);
  struct braid_transfer *transfer = stream->transfer;
  stream->transfer = NULL;
  return push_outcome(L, transfer);
}

/* Ends the wait of a task that reads. */
static int stream_close(lua_State *L) {
  struct stream *stream = self(L);
  if (alive(stream)) {
    braid_transfer_tell(stream->transfer, BRAID_CLOSED);
    braid_transfer_release(stream->transfer);
  }
  stream->transfer = NULL;
  return 0;
}

/* ---- sessions ------------------------------------------------------------------------------------------------- */

/* http_session(cookies, max_per_host, max_connections) -> session; 0: no limit. */
static int session_new(lua_State *L) {
  long per_host = (long)luaL_checkinteger(L, 2), total = (long)luaL_checkinteger(L, 3);
  struct braid_http_session *session = lua_newuserdatauv(L, sizeof *session, 0);
  session->loop = NULL;
  luaL_setmetatable(L, SESSION);
  const char *problem = braid_curl_load();
  if (problem) return lerror_raise(L, "system", "libcurl cannot be loaded: %s", problem);
  if (!braid_http_session_open(session, &sched_of(L)->loop, lua_toboolean(L, 1), per_host, total)) lerror_memory(L);
  return 1;
}

/* session:cookies(forget) -> the session's cookies, one per line. `forget`: deletes them. */
static int session_cookies(lua_State *L) {
  struct braid_http_session *session = session_at(L, 1);
  if (!session->loop) return 0;
  struct braid_transfer *transfer = braid_http_session_cookies(session, lua_toboolean(L, 2));
  if (!transfer) return lerror_memory(L);
  lua_pushlstring(L, transfer->response.body.data, transfer->response.body.size);
  braid_transfer_release(transfer);
  return 1;
}

/* session:count() -> open, idle, waiting, requests, reused; nothing if it is closed. */
static int session_count(lua_State *L) {
  const struct braid_http_session *session = session_at(L, 1);
  if (!session->loop) return 0;
  struct braid_http_statistics now = braid_http_session_count(session);
  const long numbers[] = {now.open, now.idle, now.waiting, now.requests, now.reused};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) lua_pushinteger(L, numbers[i]);
  return sizeof numbers / sizeof *numbers;
}

/* Waits for its transfers end with kind "closed". */
static int session_close(lua_State *L) {
  braid_http_session_close(session_at(L, 1));
  return 0;
}

static int url_free(lua_State *L) {
  braid_url_term(lua_touserdata(L, 1));
  return 0;
}

/* http_url(text, base) -> text in ASCII without user and password, origin, user, password (nil: not said)
 * | nil, what is wrong with it. `base`: what the text is relative to, or nil. */
static int url_read(lua_State *L) {
  const char *text = text_at(L, 1, "url"), *base = lua_isnoneornil(L, 2) ? NULL : text_at(L, 2, "base");
  const char *problem = braid_curl_load();
  if (problem) return lerror_raise(L, "system", "libcurl cannot be loaded: %s", problem);
  struct braid_url *url = lua_newuserdatauv(L, sizeof *url, 0);
  *url = (struct braid_url){0};
  luaL_setmetatable(L, ADDRESS);
  *url = braid_url_read(base, text);
  if (url->problem) {
    lua_pushnil(L);
    lua_pushstring(L, url->problem);
    return 2;
  }
  lua_pushstring(L, url->text);
  lua_pushfstring(L, "%s://%s:%s", url->scheme, url->host, url->port ? url->port : "");
  lua_pushstring(L, url->user);
  lua_pushstring(L, url->password);
  braid_url_term(url);
  return 4;
}

/* http_plain(url) -> whether it begins with http:// or https://, is in ASCII, and has neither user nor password, nor a
 * backslash, and a host. */
static int url_is_plain(lua_State *L) {
  size_t size = 0;
  const char *url = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : "";
  bool plain = strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
  for (size_t i = 0; plain && i < size; i++) plain = url[i] != '@' && url[i] != '\\' && (unsigned char)url[i] < 0x80;
  plain = plain && !strstr(url, ":///");
  lua_pushboolean(L, plain);
  return 1;
}

void lfetch_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"http_session", session_new}, {"http_url", url_read}, {"http_plain", url_is_plain}, {NULL, NULL}};
  static const luaL_Reg sessions[] = {{"fetch", fetch},
                                      {"stream", stream_new},
                                      {"cookies", session_cookies},
                                      {"count", session_count},
                                      {"close", session_close},
                                      {"__gc", session_close},
                                      {NULL, NULL}};
  static const luaL_Reg addresses[] = {{"__gc", url_free}, {NULL, NULL}};
  static const luaL_Reg transfers[] = {{"begin", stream_begin},   {"read", stream_read},  {"reading", stream_reading},
                                       {"finish", stream_finish}, {"give", stream_give},  {"close", stream_close},
                                       {"__close", stream_close}, {"__gc", stream_close}, {NULL, NULL}};
  sched_register(L, functions);
  lrequest_open(L);
  sched_class(L, SESSION, sessions);
  sched_class(L, TRANSFER, transfers);
  sched_class(L, ADDRESS, addresses);
  lua_pop(L, 3);
}
