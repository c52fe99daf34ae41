/* SPDX-License-Identifier: MIT
 * The waiter of an exchange comes here for two reasons: the core has news of the exchange, or its task has ended, for
 * whose end the waiter waits. While the task lives, `owner` is the task. */
#include "lua/web/larrival.h"

#include <lauxlib.h>

#include "lua/base/lerror.h"
#include "lua/sched/lreason.h"
#include "lua/task/lstep.h"
#include "lua/task/ltask.h"
#include "lua/web/lserver.h"

static struct lserver *lserver_of(const struct braid_exchange *exchange) { return exchange->server->context; }

static void push_function(lua_State *L, const struct braid_exchange *exchange, enum lserver_function function) {
  const struct lserver *lserver = lserver_of(exchange);
  lua_rawgeti(L, LUA_REGISTRYINDEX, lserver->functions[function]);
  lua_rawgeti(L, LUA_REGISTRYINDEX, lserver->functions[LSERVER_SELF]);
  lua_pushinteger(L, (lua_Integer)exchange->number);
}

/* The list of tasks has a place for each exchange, made here: so later nothing is allocated. */
static void make_place(lua_State *L, struct braid_exchange *exchange) {
  if (exchange->placed) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, lserver_of(exchange)->functions[LSERVER_TASKS]);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, (lua_Integer)exchange->index + 1);
  lua_pop(L, 1);
  exchange->placed = true;
}

/* Pops a task, which is kept in the exchange's place, or false. Allocates nothing. */
static void keep_task(lua_State *L, const struct braid_exchange *exchange) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, lserver_of(exchange)->functions[LSERVER_TASKS]);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)exchange->index + 1);
  lua_pop(L, 1);
}

static void push_kept_task(lua_State *L, const struct braid_exchange *exchange) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, lserver_of(exchange)->functions[LSERVER_TASKS]);
  lua_rawgeti(L, -1, (lua_Integer)exchange->index + 1);
  lua_remove(L, -2);
}

static void push_request(lua_State *L, const struct braid_exchange *exchange) {
  size_t size;
  const char *text = braid_exchange_method(exchange, &size);
  lua_pushlstring(L, text, size);
  text = braid_exchange_path(exchange, &size);
  lua_pushlstring(L, text, size);
}

/* ---- tasks ---------------------------------------------------------------------------------------------------- */

/* (exchange) -> task */
static int spawn_request(lua_State *L) {
  struct braid_exchange *exchange = lua_touserdata(L, 1);
  const struct lserver *lserver = lserver_of(exchange);
  make_place(L, exchange);
  push_function(L, exchange, LSERVER_SERVE);
  push_request(L, exchange);
  const struct braid_part query = exchange->head.query;
  if (query.at)
    lua_pushlstring(L, exchange->text + query.at, query.size);
  else
    lua_pushnil(L);
  exchange->owner = task_spawn(L, lserver->sched, lserver->scope, 5, 0);
  return 1;
}

/* (exchange, status) -> task */
static int spawn_refusal(lua_State *L) {
  struct braid_exchange *exchange = lua_touserdata(L, 1);
  const struct lserver *lserver = lserver_of(exchange);
  make_place(L, exchange);
  push_function(L, exchange, LSERVER_REFUSE);
  lua_pushvalue(L, 2);
  exchange->owner = task_spawn(L, lserver->sched, lserver->scope, 3, 0);
  return 1;
}

/* There is no memory for a task, or the state ends. */
static void answer_without_task(lua_State *L, struct braid_exchange *exchange) {
  static const char body[] = "{\"error\":\"Service Unavailable\"}", fields[] = "Content-Type: application/json\r\n";
  lua_writestringerror("braid: a request could not be served: %s\n", lerror_text(L, -1));
  const struct braid_answer answer = {.status = 503,
                                      .fields = fields,
                                      .fields_size = sizeof fields - 1,
                                      .body = body,
                                      .size = sizeof body - 1,
                                      .close = true};
  braid_exchange_respond(exchange, &answer);
  lua_pop(L, 1);
}

/* Calls a Lua function, which must not wait, with what `push` pushes; its `results` stay on the stack if true. */
static bool call_back(lua_State *L, struct sched *sched, lua_CFunction function, struct braid_exchange *exchange,
                      int results) {
  struct sched_frame frame = sched_callbacks(sched);
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, exchange);
  bool ok = lua_pcall(L, 1, results, 0) == LUA_OK;
  sched_return(sched, frame);
  if (ok) return true;
  lua_writestringerror("braid: %s\n", lerror_text(L, -1));
  lua_pop(L, 1);
  return false;
}

/* (exchange): tells Lua that the task has ended without a whole answer */
static int call_fail(lua_State *L) {
  struct braid_exchange *exchange = lua_touserdata(L, 1);
  push_function(L, exchange, LSERVER_FAIL);
  push_kept_task(L, exchange);
  lua_call(L, 3, 0);
  return 0;
}

/* Whether somebody waits for an answer, or for the rest of it. */
static bool is_open(const struct braid_exchange *exchange) {
  bool open = exchange->gives_stream ? !exchange->stream_ended : !exchange->answered;
  return open && braid_exchange_lives(exchange);
}

/* The task has ended. */
static void finish(struct sched *sched, struct braid_exchange *exchange) {
  if (is_open(exchange)) call_back(sched->L, sched, call_fail, exchange, 0);
  if (exchange->kept) {
    lua_pushboolean(sched->L, 0);
    keep_task(sched->L, exchange);
    exchange->kept = false;
  }
  braid_exchange_leave(exchange);
}

/* The exchange's waiter waits for the end of the task, or the task has ended already. */
static void follow(struct sched *sched, struct braid_exchange *exchange) {
  struct task *task = exchange->owner;
  if (task && !future_ended(&task->future)) {
    braid_waiter_arm(&exchange->waiter);
    exchange->joined = future_join(&task->future, &exchange->waiter.node);
    if (exchange->joined) return;
    braid_waiter_claim(&exchange->waiter, BRAID_NO_MEMORY);
  }
  finish(sched, exchange);
}

static void start(struct sched *sched, struct braid_exchange *exchange, lua_CFunction spawn, unsigned status) {
  lua_State *L = sched->L;
  lua_pushcfunction(L, spawn);
  lua_pushlightuserdata(L, exchange);
  lua_pushinteger(L, status);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
    answer_without_task(L, exchange);
    return;
  }
  task_step(sched, exchange->owner, L);
}

/* ---- news ----------------------------------------------------------------------------------------------------- */

/* (exchange) -> most, streamed; nil: the application says nothing of it */
static int call_admit(lua_State *L) {
  struct braid_exchange *exchange = lua_touserdata(L, 1);
  push_function(L, exchange, LSERVER_ADMIT);
  push_request(L, exchange);
  lua_call(L, 4, 2);
  return 2;
}

static void admit(struct sched *sched, struct braid_exchange *exchange) {
  lua_State *L = sched->L;
  uint64_t most = exchange->max_body;
  bool streamed = false;
  if (call_back(L, sched, call_admit, exchange, 2)) {
    most = (uint64_t)luaL_optinteger(L, -2, (lua_Integer)most);
    exchange->large_form = lua_isnil(L, -1) && braid_exchange_has_large_form(exchange, most);
    streamed = lua_toboolean(L, -1) || exchange->large_form;
    lua_pop(L, 2);
  }
  braid_exchange_admit(exchange, most, streamed);
}

/* (task, reason) */
static int keep_reason(lua_State *L) {
  reason_set(L, lua_touserdata(L, 1));
  return 0;
}

static void cancel(struct sched *sched, const struct braid_exchange *exchange, const char *reason) {
  lua_State *L = sched->L;
  struct task *task = exchange->owner;
  if (!task || future_ended(&task->future)) return;
  lua_pushcfunction(L, keep_reason);
  lua_pushlightuserdata(L, task);
  lua_pushstring(L, reason);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  tree_cancel_task(&sched->tree, task, 0);
}

/* The handler has not answered in time: another task does, and the handler is cancelled. */
static void expire(struct sched *sched, struct braid_exchange *exchange) {
  struct task *task = exchange->owner;
  int top = lua_gettop(sched->L);
  start(sched, exchange, spawn_refusal, 504);
  exchange->owner = task;
  lua_settop(sched->L, top);
  cancel(sched, exchange, "the request has taken longer than request_timeout");
}

/* A task that goes on, or has ended without an answer, is kept; any other is needed no more. */
static void begin(struct sched *sched, struct braid_exchange *exchange, unsigned news) {
  if (news & BRAID_NEWS_REFUSED)
    start(sched, exchange, spawn_refusal, exchange->refusal);
  else
    start(sched, exchange, spawn_request, 0);
  const struct task *task = exchange->owner;
  if (!task || (future_ended(&task->future) && !is_open(exchange))) return;
  lua_pushvalue(sched->L, -1);
  keep_task(sched->L, exchange);
  exchange->kept = true;
}

static void take(struct sched *sched, struct braid_exchange *exchange) {
  bool ended = exchange->joined && exchange->waiter.status == BRAID_OK;
  unsigned news = braid_exchange_news(exchange);
  if (ended) {
    finish(sched, exchange);
    return;
  }
  if (!braid_exchange_lives(exchange)) news &= (unsigned)BRAID_NEWS_GONE;
  if (news & BRAID_NEWS_ASKED) {
    admit(sched, exchange);
    if (braid_exchange_lives(exchange)) return;
  }
  if (news & (BRAID_NEWS_ARRIVED | BRAID_NEWS_REFUSED)) begin(sched, exchange, news);
  if (news & BRAID_NEWS_LATE && !exchange->answered) expire(sched, exchange);
  if (news & BRAID_NEWS_GONE) {
    cancel(sched, exchange, "the client has left");
    braid_exchange_wake_all(exchange);
  }
  if (exchange->owner)
    follow(sched, exchange);
  else
    braid_exchange_leave(exchange);
}

void arrival_take(struct sched *sched, struct braid_waiter *waiter) {
  struct braid_exchange *exchange = braid_container(waiter, struct braid_exchange, waiter);
  struct lserver *lserver = lserver_of(exchange);
  int top = lua_gettop(sched->L);
  lserver->busy++;
  take(sched, exchange);
  lserver->busy--;
  if (lserver->closing && lserver->busy == 0) lserver_close(lserver);
  lua_settop(sched->L, top);
}
