/* SPDX-License-Identifier: MIT
 * Queues of the parent as a worker process's Lua holds them. What is ahead, places to put into and items to get, is the
 * stub's (core/remote.h); a call is made when there is none. */
#include "larg.h"
#include "lcall.h"
#include "lerror.h"
#include "litem.h"
#include "lopen.h"
#include "lsight.h"

enum { ORDER_PRIORITY = 2 };

static void check_value(lua_State *L) {
  if (lua_isnoneornil(L, 2)) larg_error(L, 2, "value", "anything but nil (braid.null stands for nothing)");
}

static int put(lua_State *L, int64_t deadline) {
  struct braid_remote *remote = lcall_check(L, BRAID_REMOTE_QUEUE);
  struct braid_call call = {.key = remote->order == ORDER_PRIORITY ? litem_key(L, 2) : 0};
  struct braid_item item = lcall_item(L, 2);
  if (!braid_remote_put(remote, item, &call.bits))
    return lcall_perform(L, remote, BRAID_QUEUE_PUT, &call, NULL, item, deadline, deadline == LARG_ONCE);
  lua_pushboolean(L, 1);
  return 1;
}

static int put_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  sched_end(sched_of(L));
  return put(L, larg_timeout(L, 3));
}

static int queue_put(lua_State *L) {
  struct sched *sched = sched_of(L);
  lcall_check(L, BRAID_REMOTE_QUEUE);
  check_value(L);
  int64_t deadline = larg_timeout(L, 3);
  return sched_enter(L, sched) ? sched_pass(L, sched, put_k, 0) : put(L, deadline);
}

/* The queue's own answer, "full", in place of a timeout: 4 tells. */
static int queue_try_put(lua_State *L) {
  lcall_check(L, BRAID_REMOTE_QUEUE);
  check_value(L);
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_pushboolean(L, 1);
  return put(L, LARG_ONCE);
}

static int get(lua_State *L, int64_t deadline) {
  struct braid_remote *remote = lcall_check(L, BRAID_REMOTE_QUEUE);
  struct braid_call call = {0};
  struct braid_item item;
  if (!braid_remote_get(remote, &item, &call))
    return lcall_perform(L, remote, BRAID_QUEUE_GET, &call, NULL, lcall_nothing, deadline, deadline == LARG_ONCE);
  litem_push(L, item, 1);
  return 1;
}

static int get_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  sched_end(sched_of(L));
  return get(L, larg_timeout(L, 2));
}

static int enter_get(lua_State *L) {
  struct sched *sched = sched_of(L);
  int64_t deadline = larg_timeout(L, 2);
  return sched_enter(L, sched) ? sched_pass(L, sched, get_k, 0) : get(L, deadline);
}

static int queue_get(lua_State *L) {
  lcall_check(L, BRAID_REMOTE_QUEUE);
  lua_settop(L, 2);
  return enter_get(L);
}

static int queue_try_get(lua_State *L) {
  lcall_check(L, BRAID_REMOTE_QUEUE);
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_pushboolean(L, 1);
  return get(L, LARG_ONCE);
}

/* 3 is true: at the end it returns nothing. */
static int next_item(lua_State *L) {
  lua_settop(L, 1);
  lua_pushnil(L);
  lua_pushboolean(L, 1);
  return enter_get(L);
}

static int queue_items(lua_State *L) {
  lcall_check(L, BRAID_REMOTE_QUEUE);
  lua_pushlightuserdata(L, sched_of(L));
  lua_pushcclosure(L, next_item, 1);
  lua_pushvalue(L, 1);
  return 2;
}

static int put_answer(lua_State *L, enum braid_status status) {
  if (status == BRAID_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (status == BRAID_FULL && !lua_toboolean(L, 4)) status = BRAID_TIMEOUT;
  return lerror_return(L, status, "queue:put");
}

static int get_answer(lua_State *L, enum braid_status status, struct braid_item item) {
  if (status == BRAID_OK) {
    litem_push(L, item, 1);
    return 1;
  }
  if (status == BRAID_CLOSED && lua_gettop(L) == 3) return 0;
  if (status == BRAID_EMPTY && !lua_toboolean(L, 4)) status = BRAID_TIMEOUT;
  if (status == BRAID_MISUSE) {
    sight_where(L, 1);
    return lerror_raise(L, "not_sendable", "%sthe item has something that cannot be sent to a worker process",
                        lua_tostring(L, -1));
  }
  return lerror_return(L, status, "queue:get");
}

static int queue_task_done(lua_State *L) {
  return lcall_ask(L, lcall_check(L, BRAID_REMOTE_QUEUE), BRAID_QUEUE_DONE, 0);
}

static int queue_join(lua_State *L) {
  return lcall_wait(L, lcall_check(L, BRAID_REMOTE_QUEUE), BRAID_QUEUE_JOIN, 0, larg_timeout(L, 2));
}

static int queue_close(lua_State *L) {
  struct braid_remote *remote = lcall_check(L, BRAID_REMOTE_QUEUE);
  braid_remote_settle(remote);
  lcall_tell(L, remote, BRAID_QUEUE_CLOSE, lua_toboolean(L, 2));
  return 0;
}

/* A look at the queue: what is wanted of it is at 2. */
static int look(lua_State *L, const char *what) {
  struct braid_remote *remote = lcall_check(L, BRAID_REMOTE_QUEUE);
  lua_settop(L, 1);
  lua_pushstring(L, what);
  braid_remote_settle(remote);
  return lcall_ask(L, remote, BRAID_QUEUE_LOOK, 0);
}

static int queue_size(lua_State *L) { return look(L, "size"); }
static int queue_is_empty(lua_State *L) { return look(L, "empty"); }
static int queue_is_full(lua_State *L) { return look(L, "full"); }
static int queue_closed(lua_State *L) { return look(L, "closed"); }

static int queue_maxsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lcall_check(L, BRAID_REMOTE_QUEUE)->maxsize);
  return 1;
}

static int look_answer(lua_State *L, struct braid_item item, int64_t closed) {
  uint64_t size = item.bits, maxsize = lcall_check(L, BRAID_REMOTE_QUEUE)->maxsize;
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

static int finish(lua_State *L, struct sched *sched, enum braid_call_operation operation, enum braid_status status,
                  struct braid_item item, int64_t extra) {
  (void)sched;
  switch (operation) {
    case BRAID_QUEUE_PUT: return put_answer(L, status);
    case BRAID_QUEUE_GET: return get_answer(L, status, item);
    case BRAID_QUEUE_JOIN: return lcall_push_waited(L, status, "queue:join");
    case BRAID_QUEUE_LOOK: return look_answer(L, item, extra);
    default: /* DONE */
      return status == BRAID_OK ? 0 : lerror_misuse(L, "task_done was called more often than items were put");
  }
}

void lremotequeue_open(lua_State *L) { lcall_class(L, BRAID_REMOTE_QUEUE, "braid.queue", queue_methods, finish); }
