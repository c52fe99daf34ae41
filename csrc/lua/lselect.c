/* SPDX-License-Identifier: MIT
 * braid.select: one waiter, a hook for each case, in different lines. Whoever claims the waiter first has made the
 * case; the other hooks leave their lines before the call returns. Stack: 1 the cases, 2 the timeout, 3 the userdata
 * with the hooks. */
#include <lauxlib.h>
#include <string.h>

#include "../core/gate.h"
#include "../core/queue.h"
#include "larg.h"
#include "lerror.h"
#include "litem.h"
#include "lobject.h"
#include "lopen.h"
#include "ltask.h"

enum case_kind { CASE_GET, CASE_PUT, CASE_EVENT, CASE_FUTURE };

struct select {
  int count;
  struct braid_case cases[];
};

/* ---- one case ------------------------------------------------------------------------------------------------- */

/* Pushes the case's object and, for a put, its value; tells what kind of case it is. */
static enum case_kind push_case(lua_State *L, int i) {
  if (lua_geti(L, 1, i) != LUA_TTABLE) lerror_misuse(L, "select: case %d is not a list like {queue, \"get\"}", i);
  lua_geti(L, -1, 3);
  lua_geti(L, -2, 2);
  lua_geti(L, -3, 1);
  lua_replace(L, -4);
  const char *verb = lua_tostring(L, -1);
  int object = lua_gettop(L) - 2;
  if (lobject_test(L, object, &braid_queue_class)) {
    bool get = verb && strcmp(verb, "get") == 0;
    if (!get && !(verb && strcmp(verb, "put") == 0))
      lerror_misuse(L, "select: case %d wants to \"get\" or to \"put\"", i);
    if (!get && lua_isnil(L, -2)) lerror_misuse(L, "select: case %d puts nil: braid.null stands for nothing", i);
    lua_pop(L, 1);
    return get ? CASE_GET : CASE_PUT;
  }
  lua_pop(L, 1);
  if (lobject_test(L, object, &braid_event_class)) return CASE_EVENT;
  if (task_test(L, sched_of(L), object)) return CASE_FUTURE;
  lerror_misuse(L, "select: case %d is neither a queue nor an event nor a future", i);
  return CASE_FUTURE;
}

static struct braid_queue *queue_at(lua_State *L, int index) {
  return braid_container(lobject_test(L, index, &braid_queue_class), struct braid_queue, object);
}

static struct braid_gate *event_at(lua_State *L, int index) {
  return braid_container(lobject_test(L, index, &braid_event_class), struct braid_gate, object);
}

static double key_at(lua_State *L, int index) {
  double key = 0;
  if (lua_type(L, index) == LUA_TNUMBER) return lua_tonumber(L, index);
  if (lua_istable(L, index)) {
    lua_geti(L, index, 1);
    key = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  return key;
}

/* Tries the case whose object is at `object` (its value behind it); with a hook it waits in line. *item is what a get
 * received or a put gave up. */
static enum braid_status attempt(lua_State *L, enum case_kind kind, int object, struct braid_hook *hook,
                                 struct braid_item *item) {
  struct task *task;
  switch (kind) {
    case CASE_GET: return braid_queue_get(queue_at(L, object), item, hook);
    case CASE_PUT: {
      double key = key_at(L, object + 1);
      *item = litem_make(L, object + 1, object);
      enum braid_status status = braid_queue_put(queue_at(L, object), *item, key, hook);
      if (status != BRAID_OK && status != BRAID_WAIT) litem_drop(L, *item, object);
      return status;
    }
    case CASE_EVENT: return braid_event_wait(event_at(L, object), hook);
    default:
      task = lua_touserdata(L, object);
      if (task_ended(task)) return BRAID_OK;
      if (!hook) return BRAID_EMPTY;
      return task_join(task, hook) ? BRAID_WAIT : BRAID_NO_MEMORY;
  }
}

/* Pushes what select returns for case i, whose object is at `object`. */
static int case_answer(lua_State *L, int i, enum case_kind kind, int object, enum braid_status status,
                       struct braid_item item) {
  lua_pushinteger(L, i);
  if (status != BRAID_OK) return 1 + lerror_return(L, status, kind == CASE_PUT ? "queue:put" : "queue:get");
  if (kind == CASE_GET) {
    litem_push(L, item, object);
    return 2;
  }
  if (kind != CASE_FUTURE) {
    lua_pushboolean(L, 1);
    return 2;
  }
  int bottom = lua_gettop(L);
  lua_getfield(L, object, "result");
  lua_pushvalue(L, object);
  lua_call(L, 1, LUA_MULTRET); /* it has ended: this does not wait */
  return 1 + lua_gettop(L) - bottom;
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

/* Out of every line; what the puts that did not happen would have put is given up. */
static void withdraw(lua_State *L, struct select *select) {
  for (int i = 0; i < select->count; i++) {
    struct braid_hook *hook = &select->cases[i].hook;
    braid_hook_leave(hook);
    if (hook->chosen || hook->tag != BRAID_ITEM_REFERENCE) continue;
    push_case(L, i + 1);
    litem_drop(L, braid_hook_item(hook), lua_gettop(L) - 1);
    lua_settop(L, 3);
  }
}

static int select_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  struct select *select = lua_touserdata(L, 3);
  withdraw(L, select);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  for (int i = 0; i < select->count; i++) {
    if (!select->cases[i].hook.chosen) continue;
    enum case_kind kind = push_case(L, i + 1);
    return case_answer(L, i + 1, kind, lua_gettop(L) - 1, end, braid_hook_item(&select->cases[i].hook));
  }
  return lerror_return(L, end, "select");
}

static int join_all(lua_State *L, struct sched *sched, struct select *select) {
  struct braid_waiter *waiter = sched_waiter(sched);
  for (int i = 0; i < select->count; i++) {
    struct braid_case *this = &select->cases[i];
    enum case_kind kind = push_case(L, i + 1);
    struct braid_item item = {0};
    enum braid_status status = attempt(L, kind, lua_gettop(L) - 1, &this->hook, &item);
    lua_settop(L, 3);
    if (status == BRAID_WAIT) continue;
    /* It has become ready since the first look: the waiter is claimed by this case, and at home already. */
    if (status != BRAID_OK) braid_waiter_claim(waiter, status);
    this->hook.chosen = 1;
    braid_hook_set_item(&this->hook, item);
    waiter->status = (uint8_t)status;
    return 1;
  }
  return 0;
}

/* select(cases, timeout?) -> index, value. Suspends. */
static int lua_select(lua_State *L) {
  struct sched *sched = sched_of(L);
  if (!lua_istable(L, 1) || lua_rawlen(L, 1) == 0) return larg_error(L, 1, "cases", "a list of cases");
  int64_t deadline = larg_timeout(L, 2);
  lua_settop(L, 2);
  int count = (int)lua_rawlen(L, 1);
  sched_enter(L, sched);
  sched->turns++;
  for (int n = 0; n < count; n++) { /* each time from another one on: none is starved */
    int i = (int)((sched->turns + (unsigned)n) % (unsigned)count) + 1;
    struct braid_item item = {0};
    enum case_kind kind = push_case(L, i);
    enum braid_status status = attempt(L, kind, lua_gettop(L) - 1, NULL, &item);
    if (status != BRAID_EMPTY && status != BRAID_FULL)
      return case_answer(L, i, kind, lua_gettop(L) - 1, status, item);
    lua_settop(L, 2);
  }
  if (deadline == LARG_ONCE) return lerror_return(L, BRAID_TIMEOUT, "select");
  struct select *select = lua_newuserdatauv(L, sizeof *select + (size_t)count * sizeof *select->cases, 0);
  select->count = count;
  struct braid_waiter *waiter = sched_begin(L, sched);
  for (int i = 0; i < count; i++) {
    braid_hook_init(&select->cases[i].hook, (uint16_t)(i + 1));
    select->cases[i].waiter = waiter;
  }
  if (join_all(L, sched, select)) return select_k(L, LUA_OK, 0);
  return sched_park(L, sched, deadline, select_k, 0);
}

static const luaL_Reg functions[] = {{"select", lua_select}, {NULL, NULL}};

void lselect_open(lua_State *L) { sched_register(L, functions); }
