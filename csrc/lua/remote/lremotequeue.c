/* SPDX-License-Identifier: MIT
 * Queues that live in another process, for Lua. The proxy fetches items and places in batches
 * (core/process/proxy_queue.h). A try must not wait for a batch, so it makes a call. Stack of the methods: as in
 * lqueue.c. */
#include "core/process/proxy_queue.h"

#include "lua/base/larg.h"
#include "lua/remote/lcall.h"
#include "lua/base/lerror.h"
#include "lua/codec/lcarry.h"
#include "lua/codec/litem.h"
#include "lua/base/lopen.h"

static struct braid_proxy *check(lua_State *L) { return lcall_check(L, BRAID_PROXY_QUEUE); }

/* ---- put ------------------------------------------------------------------------------------------------------ */

static void check_value(lua_State *L) {
  if (lua_isnoneornil(L, 2)) larg_error(L, 2, "value", "anything but nil (braid.null stands for nothing)");
}

static struct braid_queue_cell cell_of(lua_State *L, const struct braid_proxy *proxy) {
  struct braid_queue_cell cell = {.key = proxy->queue->order == BRAID_PRIORITY ? litem_key(L, 2) : 0};
  carry_wrap(L, sched_of(L), 2, 1);
  cell.item = lcall_item(L, 2);
  return cell;
}

static int put_answer(lua_State *L, enum braid_status status) {
  if (status != BRAID_OK) return lerror_return(L, status, "queue:put");
  lua_pushboolean(L, 1);
  return 1;
}

static int put_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (end != BRAID_OK) {
    braid_item_drop(braid_wait_node_item(&sched_waiter(sched)->node));
    braid_proxy_leave_put(check(L));
  }
  return sched_stopped(end) ? sched_raise(L, sched, end) : put_answer(L, end);
}

static int try_at_home(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation,
                       struct braid_queue_cell cell) {
  struct lcall_words words = {.cell = cell, .deadline = LARG_ONCE, .masked = true};
  if (operation == BRAID_QUEUE_TRY_GET) braid_proxy_settle(proxy); /* a closed queue may be drained by what was taken */
  return lcall_perform(L, proxy, operation, &words);
}

static int put(lua_State *L, int entered, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  struct braid_proxy *proxy = check(L);
  sched_entered(sched, entered);
  int64_t deadline = larg_timeout(L, 3);
  struct braid_queue_cell cell = cell_of(L, proxy);
  enum braid_status status = braid_proxy_put(proxy, &cell, NULL);
  if (status == BRAID_FULL && deadline == LARG_ONCE) return try_at_home(L, proxy, BRAID_QUEUE_TRY_PUT, cell);
  if (status == BRAID_FULL) {
    if (!sched_may_begin(L, sched)) braid_item_drop(cell.item); /* sched_begin will raise */
    struct braid_waiter *waiter = sched_begin(L, sched);
    status = braid_proxy_put(proxy, &cell, &waiter->node);
    if (status == BRAID_WAIT) return sched_park(L, sched, deadline, put_k, 0);
    sched_forget(sched);
  }
  if (status != BRAID_OK) braid_item_drop(cell.item);
  return put_answer(L, status);
}

static int queue_put(lua_State *L) {
  check(L);
  check_value(L);
  lua_settop(L, 3);
  return sched_attempt(L, sched_of(L), put, 0);
}

/* On the stack: 4 true, because the home's "full" or "empty" is the result, and not a timeout. */
static int queue_try_put(lua_State *L) {
  struct braid_proxy *proxy = check(L);
  check_value(L);
  lua_settop(L, 3);
  lua_pushboolean(L, 1);
  struct braid_queue_cell cell = cell_of(L, proxy);
  enum braid_status status = braid_proxy_put(proxy, &cell, NULL);
  if (status == BRAID_FULL) return try_at_home(L, proxy, BRAID_QUEUE_TRY_PUT, cell);
  if (status != BRAID_OK) braid_item_drop(cell.item);
  return put_answer(L, status);
}

/* ---- get ------------------------------------------------------------------------------------------------------ */

enum { GET, ITERATE, HOWS }; /* an iterator ends where get returns kind "closed", and raises other errors */

static int get_answer(lua_State *L, enum braid_status status, struct braid_item item, lua_KContext how) {
  if (how == ITERATE && status == BRAID_CLOSED) return 0;
  int count = status == BRAID_OK ? litem_push_got(L, item, 1) : lerror_return(L, status, "queue:get");
  return how == ITERATE && count > 1 ? lua_error(L) : count;
}

static int conclude(lua_State *L, struct sched *sched, enum braid_status end, struct braid_item item,
                    lua_KContext how) {
  return sched_stopped(end) ? sched_raise(L, sched, end) : get_answer(L, end, item, how);
}

/* The cancelled request has ended, maybe with an item nevertheless. The context has the end of the get's own wait, and
 * GET or ITERATE. */
static int left_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  bool served = sched_end(sched) == BRAID_OK;
  enum braid_status end = served ? BRAID_OK : (enum braid_status)(context / HOWS);
  return conclude(L, sched, end, braid_wait_node_item(&sched_waiter(sched)->node), context % HOWS);
}

static int get_k(lua_State *L, int ignored, lua_KContext how) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (end == BRAID_TIMEOUT || sched_stopped(end)) {
    struct braid_waiter *waiter = sched_begin_masked(L, sched);
    if (braid_proxy_leave(check(L), &waiter->node))
      return sched_park(L, sched, BRAID_NEVER, left_k, (lua_KContext)end * HOWS + how);
    sched_forget(sched);
  }
  return conclude(L, sched, end, braid_wait_node_item(&sched_waiter(sched)->node), how);
}

static int get(lua_State *L, int entered, lua_KContext how) {
  struct sched *sched = sched_of(L);
  struct braid_proxy *proxy = check(L);
  sched_entered(sched, entered);
  int64_t deadline = how == ITERATE ? BRAID_NEVER : larg_timeout(L, 2);
  struct braid_queue_cell cell = {0};
  enum braid_status status = braid_proxy_get(proxy, &cell, NULL);
  if (status == BRAID_EMPTY && deadline == LARG_ONCE) return try_at_home(L, proxy, BRAID_QUEUE_TRY_GET, cell);
  if (status == BRAID_EMPTY) {
    struct braid_waiter *waiter = sched_begin(L, sched);
    status = braid_proxy_get(proxy, &cell, &waiter->node);
    if (status == BRAID_WAIT) return sched_park(L, sched, deadline, get_k, how);
    sched_forget(sched);
  }
  return get_answer(L, status, cell.item, how);
}

static int queue_get(lua_State *L) {
  check(L);
  lua_settop(L, 2);
  return sched_attempt(L, sched_of(L), get, GET);
}

static int queue_try_get(lua_State *L) {
  struct braid_proxy *proxy = check(L);
  lua_settop(L, 3);
  lua_pushboolean(L, 1);
  struct braid_queue_cell cell = {0};
  enum braid_status status = braid_proxy_get(proxy, &cell, NULL);
  if (status == BRAID_EMPTY) return try_at_home(L, proxy, BRAID_QUEUE_TRY_GET, cell);
  return get_answer(L, status, cell.item, GET);
}

static int next_item(lua_State *L) {
  lua_settop(L, 1);
  return sched_attempt(L, sched_of(L), get, ITERATE);
}

static int queue_items(lua_State *L) {
  check(L);
  lua_pushlightuserdata(L, sched_of(L));
  lua_pushcclosure(L, next_item, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/* ---- other methods -------------------------------------------------------------------------------------------- */

static int queue_task_done(lua_State *L) { return lcall_ask(L, check(L), BRAID_QUEUE_DONE, 0); }

static int queue_join(lua_State *L) { return lcall_wait(L, check(L), BRAID_QUEUE_JOIN, 0, larg_timeout(L, 2)); }

static int queue_close(lua_State *L) {
  struct braid_proxy *proxy = check(L);
  braid_proxy_settle(proxy);
  lcall_tell(L, proxy, BRAID_QUEUE_CLOSE, lua_toboolean(L, 2));
  return 0;
}

/* Asks for the queue's size and state. `what` goes to index 2: the wanted part. */
static int look(lua_State *L, const char *what) {
  struct braid_proxy *proxy = check(L);
  lua_settop(L, 1);
  lua_pushstring(L, what);
  braid_proxy_settle(proxy);
  return lcall_ask(L, proxy, BRAID_QUEUE_LOOK, 0);
}

static int queue_size(lua_State *L) { return look(L, "size"); }
static int queue_is_empty(lua_State *L) { return look(L, "empty"); }
static int queue_is_full(lua_State *L) { return look(L, "full"); }
static int queue_closed(lua_State *L) { return look(L, "closed"); }

static int queue_maxsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->queue->maxsize);
  return 1;
}

static int look_answer(lua_State *L, struct braid_item item, int64_t closed) {
  uint64_t size = item.bits, maxsize = check(L)->queue->maxsize;
  switch (*lua_tostring(L, 2)) {
    case 's': lua_pushinteger(L, (lua_Integer)size); break;
    case 'e': lua_pushboolean(L, size == 0); break;
    case 'f': lua_pushboolean(L, maxsize > 0 && size >= maxsize); break;
    default: lua_pushboolean(L, closed != 0);
  }
  return 1;
}

static const luaL_Reg queue_methods[] = {
    {"put", queue_put},         {"try_put", queue_try_put},
    {"get", queue_get},         {"try_get", queue_try_get},
    {"items", queue_items},     {"task_done", queue_task_done},
    {"join", queue_join},       {"_close", queue_close},
    {"size", queue_size},       {"maxsize", queue_maxsize},
    {"closed", queue_closed},   {"is_empty", queue_is_empty},
    {"is_full", queue_is_full}, {NULL, NULL},
};

/* The status of a try: see queue_try_put for index 4. */
static enum braid_status tried(lua_State *L, enum braid_status status) {
  bool once = (status == BRAID_FULL || status == BRAID_EMPTY) && !lua_toboolean(L, 4);
  return once ? BRAID_TIMEOUT : status;
}

static int finish(lua_State *L, struct sched *sched, enum braid_call_operation operation, enum braid_status status,
                  struct braid_item item, int64_t extra) {
  (void)sched;
  switch (operation) {
    case BRAID_QUEUE_TRY_PUT: return put_answer(L, tried(L, status));
    case BRAID_QUEUE_TRY_GET: return get_answer(L, tried(L, status), item, GET);
    case BRAID_QUEUE_JOIN: return lcall_push_waited(L, status, "queue:join");
    case BRAID_QUEUE_LOOK: return look_answer(L, item, extra);
    default: /* DONE */
      return status == BRAID_OK ? 0 : lerror_misuse(L, "task_done was called more often than items were put");
  }
}

void lremotequeue_open(lua_State *L) { lcall_class(L, BRAID_PROXY_QUEUE, "braid.queue", queue_methods, finish); }
