/* SPDX-License-Identifier: MIT
 * braid.select: one waiter with a wait node for each case, in different wait queues. Whoever claims the waiter first
 * decides the case. The other nodes leave their queues before the call returns. Stack: 1 the cases, 2 the timeout, 3
 * the cases' objects, 4 the userdata with the wait nodes. Everything that may raise runs before the first node joins a
 * queue. */
#include <lauxlib.h>
#include <string.h>

#include "core/sync/primitives.h"
#include "core/sync/queue.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/codec/litem.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/task/ltask.h"

enum { OBJECTS = 3, SELECT = 4 };

enum case_kind { CASE_GET, CASE_PUT, CASE_EVENT, CASE_FUTURE };

struct choice {
  struct braid_case this; /* its wait node has the item of a put, and gets that of a get */
  enum case_kind kind;
  union {
    struct braid_queue *queue;
    struct braid_primitive *event;
    struct future *future;
  };
};

struct select {
  int count;
  struct choice choices[];
};

/* ---- reading the cases ---------------------------------------------------------------------------------------- */

/* The queue, the verb and the value are on the top of the stack. */
static void read_queue_case(lua_State *L, int i, struct choice *choice, int object) {
  const char *verb = lua_tostring(L, object + 1);
  if (verb && strcmp(verb, "get") == 0) {
    choice->kind = CASE_GET;
    return;
  }
  if (!verb || strcmp(verb, "put") != 0) lerror_misuse(L, "select: case %d wants to \"get\" or to \"put\"", i);
  if (lua_isnil(L, object + 2)) lerror_misuse(L, "select: case %d puts nil: braid.null stands for nothing", i);
  choice->kind = CASE_PUT;
  if (choice->queue->order == BRAID_PRIORITY) choice->this.node.key = litem_key(L, object + 2);
  braid_wait_node_set_item(&choice->this.node, litem_make(L, object + 2, object));
}

static void read_case(lua_State *L, int i, struct choice *choice) {
  if (lua_geti(L, 1, i) != LUA_TTABLE) lerror_misuse(L, "select: case %d is not a list like {queue, \"get\"}", i);
  int list = lua_gettop(L), object = list + 1;
  for (int field = 1; field <= 3; field++) lua_geti(L, list, field);
  lua_pushvalue(L, object);
  lua_rawseti(L, OBJECTS, i);
  braid_wait_node_init(&choice->this.node, (uint16_t)i);
  struct braid_object *found;
  if ((found = lobject_test(L, object, &braid_queue_class))) {
    choice->queue = braid_container(found, struct braid_queue, object);
    read_queue_case(L, i, choice, object);
  } else if ((found = lobject_test(L, object, &braid_event_class))) {
    choice->kind = CASE_EVENT;
    choice->event = braid_container(found, struct braid_primitive, object);
  } else if ((choice->future = future_test(L, sched_of(L), object))) {
    choice->kind = CASE_FUTURE;
  } else {
    lerror_misuse(L, "select: case %d is neither a queue nor an event nor a future", i);
  }
  lua_settop(L, SELECT);
}

/* ---- one case ------------------------------------------------------------------------------------------------- */

/* Tries the case. With `wait`, the wait node joins the wait queue if the case is not ready. */
static enum braid_status attempt(struct choice *choice, bool wait) {
  struct braid_wait_node *node = &choice->this.node;
  struct braid_item item = braid_wait_node_item(node);
  enum braid_status status;
  switch (choice->kind) {
    case CASE_GET:
      status = braid_queue_get(choice->queue, &item, wait ? node : NULL);
      if (status == BRAID_OK) braid_wait_node_set_item(node, item);
      return status;
    case CASE_PUT: return braid_queue_put(choice->queue, item, node->key, wait ? node : NULL);
    case CASE_EVENT: return braid_event_wait(choice->event, wait ? node : NULL);
    default:
      if (future_ended(choice->future)) return BRAID_OK;
      if (!wait) return BRAID_EMPTY;
      return future_join(choice->future, node) ? BRAID_WAIT : BRAID_NO_MEMORY;
  }
}

/* Leaves all wait queues, and drops the items of puts that did not happen. `made`: the case that happened, or 0. */
static void withdraw(lua_State *L, struct select *select, int made) {
  for (int i = 1; i <= select->count; i++) {
    struct choice *choice = &select->choices[i - 1];
    braid_wait_node_leave(&choice->this.node);
    if (choice->kind != CASE_PUT) continue;
    if (i != made) {
      lua_rawgeti(L, OBJECTS, i);
      litem_drop(L, braid_wait_node_item(&choice->this.node), lua_gettop(L));
      lua_pop(L, 1);
    }
    choice->this.node.tag = BRAID_ITEM_NONE;
  }
}

/* If something raised before select returned, this drops the items of its puts. */
static int select_gc(lua_State *L) {
  struct select *select = lua_touserdata(L, 1);
  lua_getiuservalue(L, 1, 1);
  for (int i = 1; i <= select->count; i++) {
    struct choice *choice = &select->choices[i - 1];
    if (choice->kind != CASE_PUT || choice->this.node.tag == BRAID_ITEM_NONE) continue;
    lua_rawgeti(L, 2, i);
    litem_drop(L, braid_wait_node_item(&choice->this.node), 3);
    lua_settop(L, 2);
    choice->this.node.tag = BRAID_ITEM_NONE;
  }
  return 0;
}

/* Pushes what select returns for case i. */
static int answer(lua_State *L, struct select *select, int i, enum braid_status status) {
  struct choice *choice = &select->choices[i - 1];
  withdraw(L, select, status == BRAID_OK ? i : 0);
  lua_pushinteger(L, i);
  if (status != BRAID_OK) return 1 + lerror_return(L, status, choice->kind == CASE_PUT ? "queue:put" : "queue:get");
  lua_rawgeti(L, OBJECTS, i);
  int object = lua_gettop(L);
  if (choice->kind == CASE_FUTURE) {
    lua_getfield(L, object, "result");
    lua_insert(L, object);
    lua_call(L, 1, LUA_MULTRET); /* it has ended, so this does not wait */
    return 1 + lua_gettop(L) - object + 1;
  }
  int count = 1;
  if (choice->kind == CASE_GET)
    count = litem_push_got(L, braid_wait_node_item(&choice->this.node), object);
  else
    lua_pushboolean(L, 1);
  lua_remove(L, object);
  return 1 + count;
}

/* ---- select --------------------------------------------------------------------------------------------------- */

static int select_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  struct select *select = lua_touserdata(L, SELECT);
  for (int i = 1; i <= select->count; i++)
    if (select->choices[i - 1].this.node.chosen) return answer(L, select, i, end);
  withdraw(L, select, 0);
  return sched_stopped(end) ? sched_raise(L, sched, end) : lerror_return(L, end, "select");
}

/* Tries each case once. Each call begins with another case, so that none starves. 0: no case is ready. */
static int try_all(struct select *select, unsigned first, enum braid_status *status) {
  for (int n = 0; n < select->count; n++) {
    int i = (int)((first + (unsigned)n) % (unsigned)select->count) + 1;
    *status = attempt(&select->choices[i - 1], false);
    if (*status != BRAID_EMPTY && *status != BRAID_FULL) return i;
  }
  return 0;
}

/* Joins every wait queue. Returns a case that became ready in the meantime, unless another thread has already claimed
 * the waiter for an earlier case. 0: the caller must wait. */
static int join_all(struct braid_waiter *waiter, struct select *select, enum braid_status *status) {
  for (int i = 1; i <= select->count; i++) {
    struct choice *choice = &select->choices[i - 1];
    choice->this.waiter = waiter;
    *status = attempt(choice, true);
    if (*status == BRAID_WAIT) continue;
    if (choice->this.node.chosen || braid_waiter_claim(waiter, *status)) return i;
  }
  return 0;
}

static struct select *read_all(lua_State *L) {
  int count = (int)larg_list(L, 1, "cases", "a list of cases");
  if (count == 0) larg_error(L, 1, "cases", "a list of cases");
  if (count > UINT16_MAX) larg_error(L, 1, "cases", "at most 65535 cases");
  lua_settop(L, 2);
  lua_createtable(L, count, 0);
  struct select *select = lua_newuserdatauv(L, sizeof *select + (size_t)count * sizeof *select->choices, 1);
  memset(select, 0, sizeof *select + (size_t)count * sizeof *select->choices);
  select->count = count;
  if (luaL_newmetatable(L, "braid.select")) {
    lua_pushcfunction(L, select_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  lua_pushvalue(L, OBJECTS);
  lua_setiuservalue(L, -2, 1);
  for (int i = 1; i <= count; i++) read_case(L, i, &select->choices[i - 1]);
  return select;
}

static int attempt_all(lua_State *L, int entered, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  int64_t deadline = larg_timeout(L, 2);
  sched_entered(sched, entered);
  struct select *select = read_all(L);
  enum braid_status status;
  int made = try_all(select, sched->driver->choose(sched, (unsigned)select->count), &status);
  if (made) return answer(L, select, made, status);
  if (deadline == LARG_ONCE) {
    withdraw(L, select, 0);
    return lerror_return(L, BRAID_TIMEOUT, "select");
  }
  if (!sched_may_begin(L, sched)) withdraw(L, select, 0); /* sched_begin will raise */
  struct braid_waiter *waiter = sched_begin(L, sched);
  made = join_all(waiter, select, &status);
  if (made) return answer(L, select, made, status);
  return sched_park(L, sched, deadline, select_k, 0);
}

/* select(cases, timeout?) -> index, value. Suspends. */
static int lua_select(lua_State *L) { return sched_attempt(L, sched_of(L), attempt_all, 0); }

static const luaL_Reg functions[] = {{"select", lua_select}, {NULL, NULL}};

void lselect_open(lua_State *L) { sched_register(L, functions); }
