/* SPDX-License-Identifier: MIT
 * Queues, for Lua. Stack of every method: 1 the queue, 2 the value, 3 the timeout (get: 2 the timeout). */
#include <lauxlib.h>
#include <string.h>

#include "core/sync/queue.h"
#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/codec/litem.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

static struct braid_queue *check(lua_State *L) {
  return braid_container(lobject_check(L, 1, &braid_queue_class), struct braid_queue, object);
}

/* queue_new(maxsize, order) -> queue. maxsize 0: no bound; order: "fifo", "lifo" or "priority". */
static int queue_new(lua_State *L) {
  static const char *const orders[] = {"fifo", "lifo", "priority", NULL};
  size_t maxsize = (size_t)larg_integer(L, 1, "maxsize", 0);
  enum braid_queue_order order = (enum braid_queue_order)luaL_checkoption(L, 2, "fifo", orders);
  lobject_box(L, &braid_queue_class);
  struct braid_queue *queue = braid_queue_new(maxsize, order);
  lobject_fill(L, queue ? &queue->object : NULL);
  return 1;
}

/* ---- put ------------------------------------------------------------------------------------------------------ */

static double key_of(lua_State *L, const struct braid_queue *queue) {
  return queue->order == BRAID_PRIORITY ? litem_key(L, 2) : 0;
}

static int put_answer(lua_State *L, enum braid_status status, struct braid_item item) {
  if (status == BRAID_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  litem_drop(L, item, 1);
  return lerror_return(L, status, "queue:put");
}

static int put_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  struct braid_item item = braid_wait_node_item(&sched_waiter(sched)->node);
  if (!sched_stopped(end)) return put_answer(L, end, item);
  litem_drop(L, item, 1);
  return sched_raise(L, sched, end);
}

static void check_value(lua_State *L) {
  if (lua_isnoneornil(L, 2)) larg_error(L, 2, "value", "anything but nil (braid.null stands for nothing)");
}

static int put_now(lua_State *L, struct sched *sched, struct braid_queue *queue) {
  int64_t deadline = larg_timeout(L, 3);
  double key = key_of(L, queue);
  struct braid_item item = litem_make(L, 2, 1);
  enum braid_status result = braid_queue_put(queue, item, key, NULL);
  if (result != BRAID_FULL) return put_answer(L, result, item);
  if (deadline == LARG_ONCE) return put_answer(L, BRAID_TIMEOUT, item);
  if (sched_is_alone(sched) && braid_queue_expect_room(queue)) {
    result = braid_queue_put(queue, item, key, NULL);
    if (result != BRAID_FULL) return put_answer(L, result, item);
  }
  if (!sched_may_begin(L, sched)) litem_drop(L, item, 1); /* sched_begin will raise */
  struct braid_waiter *waiter = sched_begin(L, sched);
  result = braid_queue_put(queue, item, key, &waiter->node);
  if (result == BRAID_WAIT) return sched_park(L, sched, deadline, put_k, 0);
  sched_forget(sched);
  return put_answer(L, result, item);
}

/* Runs after other tasks have run. */
static int put(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  struct braid_queue *queue = check(L);
  sched_end(sched);
  return put_now(L, sched, queue);
}

/* queue:put(value, timeout?) -> true, or nil and an error. Suspends while the queue is full. */
static int queue_put(lua_State *L) {
  struct braid_queue *queue = check(L);
  struct sched *sched = sched_of(L);
  check_value(L);
  return sched_enter(L, sched) ? sched_pass(L, sched, put, 0) : put_now(L, sched, queue);
}

/* queue:try_put(value) -> true, or nil and an error. */
static int queue_try_put(lua_State *L) {
  struct braid_queue *queue = check(L);
  check_value(L);
  double key = key_of(L, queue);
  struct braid_item item = litem_make(L, 2, 1);
  return put_answer(L, braid_queue_put(queue, item, key, NULL), item);
}

/* ---- get ------------------------------------------------------------------------------------------------------ */

enum { GET, ITERATE }; /* an iterator ends where get returns kind "closed", and raises other errors */

static int get_answer(lua_State *L, enum braid_status status, struct braid_item item, lua_KContext how) {
  if (how == ITERATE && status == BRAID_CLOSED) return 0;
  int count = status == BRAID_OK ? litem_push_got(L, item, 1) : lerror_return(L, status, "queue:get");
  return how == ITERATE && count > 1 ? lua_error(L) : count;
}

static int get_k(lua_State *L, int ignored, lua_KContext how) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  return get_answer(L, end, braid_wait_node_item(&sched_waiter(sched)->node), how);
}

static int get_now(lua_State *L, struct sched *sched, struct braid_queue *queue, lua_KContext how) {
  int64_t deadline = how == ITERATE ? BRAID_NEVER : larg_timeout(L, 2);
  struct braid_item item = {0};
  enum braid_status result = braid_queue_get(queue, &item, NULL);
  if (result != BRAID_EMPTY) return get_answer(L, result, item, how);
  if (deadline == LARG_ONCE) return get_answer(L, BRAID_TIMEOUT, item, how);
  if (sched_is_alone(sched) && braid_queue_expect_item(queue)) {
    result = braid_queue_get(queue, &item, NULL);
    if (result != BRAID_EMPTY) return get_answer(L, result, item, how);
  }
  struct braid_waiter *waiter = sched_begin(L, sched);
  result = braid_queue_get(queue, &item, &waiter->node);
  if (result == BRAID_WAIT) return sched_park(L, sched, deadline, get_k, how);
  sched_forget(sched);
  return get_answer(L, result, item, how);
}

/* Runs after other tasks have run. */
static int get(lua_State *L, int ignored, lua_KContext how) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  struct braid_queue *queue = check(L);
  sched_end(sched);
  return get_now(L, sched, queue, how);
}

static inline int begin_get(lua_State *L, lua_KContext how) {
  struct sched *sched = sched_of(L);
  struct braid_queue *queue = check(L);
  return sched_enter(L, sched) ? sched_pass(L, sched, get, how) : get_now(L, sched, queue, how);
}

/* queue:get(timeout?) -> value, or nil and an error. Suspends while the queue is empty. */
static int queue_get(lua_State *L) { return begin_get(L, GET); }

/* Upvalue 2 is the queue. */
static int next_item(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  return begin_get(L, ITERATE);
}

/* queue:items() -> an iterator over the items, until the queue is closed and drained. Its steps suspend. */
static int queue_items(lua_State *L) {
  check(L);
  lua_pushlightuserdata(L, sched_of(L));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_item, 2);
  return 1;
}

/* queue:try_get() -> value, or nil and an error. */
static int queue_try_get(lua_State *L) {
  struct braid_item item = {0};
  enum braid_status status = braid_queue_get(check(L), &item, NULL);
  return get_answer(L, status, item, GET);
}

/* ---- other methods -------------------------------------------------------------------------------------------- */

static int queue_task_done(lua_State *L) {
  if (braid_queue_task_done(check(L)) == BRAID_MISUSE)
    return lerror_misuse(L, "task_done was called more often than items were put");
  return 0;
}

static int join_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return sched_raise(L, sched, end);
  if (end != BRAID_OK) return lerror_return(L, end, "queue:join");
  lua_pushboolean(L, 1);
  return 1;
}

static int join(lua_State *L, int entered, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  struct braid_queue *queue = check(L);
  int64_t deadline = larg_timeout(L, 2);
  sched_entered(sched, entered);
  struct braid_waiter *waiter = sched_begin(L, sched);
  if (braid_queue_join(queue, &waiter->node) == BRAID_WAIT)
    return sched_park(L, sched, deadline == LARG_ONCE ? braid_time_now() : deadline, join_k, 0);
  sched_forget(sched);
  lua_pushboolean(L, 1);
  return 1;
}

/* queue:join(timeout?) -> true when every item that was put is done; or nil and an error. Suspends. */
static int queue_join(lua_State *L) { return sched_attempt(L, sched_of(L), join, 0); }

/* Drops the value that the userdata keeps for an item. Runs under the guard, so it is only for queues that no other
 * thread knows. */
static void forget(struct braid_item *item, void *context) {
  if (item->tag != BRAID_ITEM_REFERENCE) return;
  litem_drop(context, *item, 1);
  item->tag = BRAID_ITEM_NONE;
}

/* queue:_close(immediate) */
static int queue_close(lua_State *L) {
  struct braid_queue *queue = check(L);
  bool immediate = lua_toboolean(L, 2);
  if (immediate && !queue->object.guard.shared) {
    braid_queue_close(queue, false); /* first, because putters drop their items themselves */
    braid_queue_visit(queue, forget, L);
  }
  braid_queue_close(queue, immediate);
  return 0;
}

static int queue_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)braid_queue_look(check(L)).size);
  return 1;
}

static int queue_maxsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)braid_queue_look(check(L)).maxsize);
  return 1;
}

static int queue_is_empty(lua_State *L) {
  lua_pushboolean(L, braid_queue_look(check(L)).size == 0);
  return 1;
}

static int queue_is_full(lua_State *L) {
  struct braid_queue_facts facts = braid_queue_look(check(L));
  lua_pushboolean(L, facts.maxsize > 0 && facts.size >= facts.maxsize);
  return 1;
}

static int queue_closed(lua_State *L) {
  lua_pushboolean(L, braid_queue_look(check(L)).closed);
  return 1;
}

/* ---- sharing with other states -------------------------------------------------------------------------------- */

/* The messages that replace references. It is a userdata, so that they are freed when encoding raises. */
struct conversion {
  struct lobject_change change;
  size_t count;
  struct {
    struct braid_message *message;
    bool wanted, used;
  } of[]; /* by the number of the reference */
};

static int conversion_gc(lua_State *L) {
  struct conversion *conversion = lua_touserdata(L, 1);
  for (size_t i = 0; i < conversion->count; i++)
    if (conversion->of[i].message) braid_message_unref(conversion->of[i].message);
  conversion->count = 0;
  return 0;
}

static void find_highest(struct braid_item *item, void *context) {
  size_t *count = context;
  if (item->tag == BRAID_ITEM_REFERENCE && item->bits >= *count) *count = item->bits + 1;
}

static void want(struct braid_item *item, void *context) {
  struct conversion *conversion = context;
  if (item->tag == BRAID_ITEM_REFERENCE) conversion->of[item->bits].wanted = true;
}

static void replace(struct braid_item *item, void *context) {
  struct conversion *conversion = context;
  if (item->tag != BRAID_ITEM_REFERENCE || item->bits >= conversion->count) return;
  size_t number = item->bits;
  if (!conversion->of[number].message) return;
  *item = (struct braid_item){(uint64_t)(uintptr_t)conversion->of[number].message, BRAID_ITEM_MESSAGE};
  conversion->of[number].message = NULL;
  conversion->of[number].used = true;
}

static void commit(lua_State *L, int box, struct lobject_change *change) {
  struct conversion *conversion = braid_container(change, struct conversion, change);
  struct braid_object *object = lobject_at(L, box);
  braid_queue_visit(braid_container(object, struct braid_queue, object), replace, conversion);
  for (size_t i = 0; i < conversion->count; i++)
    if (conversion->of[i].used) litem_drop(L, (struct braid_item){i, BRAID_ITEM_REFERENCE}, box);
}

static struct conversion *new_conversion(lua_State *L, struct braid_queue *queue) {
  size_t count = 0, size;
  braid_queue_visit(queue, find_highest, &count);
  size = sizeof(struct conversion) + count * sizeof *((struct conversion *)0)->of;
  struct conversion *conversion = lua_newuserdatauv(L, size, 0);
  memset(conversion, 0, size);
  conversion->change.commit = commit;
  conversion->count = count;
  if (luaL_newmetatable(L, "braid.conversion")) {
    lua_pushcfunction(L, conversion_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return conversion;
}

/* Encodes the values that this state keeps by reference: items in the queue, and those of waiting putters. Returns the
 * conversion, which replaces them later. */
static int queue_share(lua_State *L) {
  struct braid_queue *queue = check(L);
  lua_settop(L, 1);
  struct conversion *conversion = new_conversion(L, queue);
  braid_queue_visit(queue, want, conversion);
  for (size_t i = 0; i < conversion->count; i++) {
    if (!conversion->of[i].wanted) continue;
    litem_peek(L, (struct braid_item){i, BRAID_ITEM_REFERENCE}, 1);
    conversion->of[i].message = lcodec_encode(L, -1, 1, "item");
    lua_settop(L, 2);
  }
  return 1;
}

static int queue_gc(lua_State *L) {
  struct braid_object *object = lobject_take(L, 1);
  if (object) braid_queue_leave(braid_container(object, struct braid_queue, object));
  return 0;
}

static const luaL_Reg methods[] = {
    {"put", queue_put},         {"try_put", queue_try_put},     {"get", queue_get},       {"try_get", queue_try_get},
    {"items", queue_items},     {"task_done", queue_task_done}, {"join", queue_join},     {"_close", queue_close},
    {"size", queue_size},       {"maxsize", queue_maxsize},     {"closed", queue_closed}, {"is_empty", queue_is_empty},
    {"is_full", queue_is_full}, {"__share", queue_share},       {"__gc", queue_gc},       {NULL, NULL},
};

static const luaL_Reg functions[] = {{"queue_new", queue_new}, {NULL, NULL}};

void lqueue_open(lua_State *L) {
  sched_register(L, functions);
  lobject_class(L, &braid_queue_class, methods);
  lua_setfield(L, -2, "Queue");
}
