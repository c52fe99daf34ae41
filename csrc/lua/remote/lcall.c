/* SPDX-License-Identifier: MIT
 * Calls of proxies: sending, waiting, cancelling, and what all kinds do with an answer. */
#include "lua/remote/lcall.h"

#include "core/process/marshal.h"
#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/codec/litem.h"
#include "lua/sched/lobject.h"
#include "lua/base/lposition.h"

/* Of a state: how its calls end, by the kind of object. */
struct call_finishers {
  lcall_finisher *of[BRAID_PROXY_KINDS];
};

static const char FINISHERS; /* its address is the registry's key */

struct braid_proxy *lcall_check(lua_State *L, enum braid_proxy_kind kind) {
  return braid_container(lobject_check(L, 1, &braid_proxy_classes[kind]), struct braid_proxy, object);
}

struct braid_item lcall_item(lua_State *L, int index) {
  struct braid_item item = litem_copy(L, index);
  const struct braid_object *which;
  if (item.tag != BRAID_ITEM_MESSAGE) return item;
  struct braid_message *message = (struct braid_message *)(uintptr_t)item.bits;
  const char *why = braid_marshal_refuse_message(message, &which);
  if (!why) return item;
  const char *name = which->class->name;
  braid_message_unref(message);
  position_where(L, 1);
  lerror_raise(L, "not_sendable", "%sthe item has a %s, which cannot be sent to another process: %s",
               lua_tostring(L, -1), name, why);
  return item;
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static int raise_gone(lua_State *L) {
  position_where(L, 1);
  return lerror_raise(L, "worker_died", "%sthe process that made the object has ended", lua_tostring(L, -1));
}

static int hand_on(lua_State *L, struct sched *sched, struct braid_proxy *proxy, enum braid_call_operation operation,
                   enum braid_status status, struct braid_item item, int64_t extra) {
  enum braid_proxy_kind kind = proxy->kind;
  if (kind != BRAID_PROXY_CONDITION && status == BRAID_NO_MEMORY) return lerror_memory(L);
  if (status == BRAID_SYSTEM) {
    int count = lerror_system(L, (int)extra, "an item was lost between two processes");
    return kind == BRAID_PROXY_QUEUE ? count : lua_error(L);
  }
  return sched->finishers->of[kind](L, sched, operation, status, item, extra);
}

static int conclude(lua_State *L, struct sched *sched, struct braid_proxy_call *call) {
  enum braid_status status = call->status == BRAID_CANCELLED ? call->end : call->status;
  enum braid_call_operation operation = call->operation;
  struct braid_proxy *proxy = call->proxy; /* the box at 1 keeps it alive */
  struct braid_item item = call->item;
  int64_t extra = call->extra;
  bool asks = call->asks;
  braid_proxy_free(call);
  if (proxy->kind != BRAID_PROXY_CONDITION && sched_stopped(status)) {
    braid_item_drop(item);
    return sched_raise(L, sched, status);
  }
  if (asks && status == BRAID_GONE) return raise_gone(L);
  return hand_on(L, sched, proxy, operation, status, item, extra);
}

static int late_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  sched_end(sched);
  return conclude(L, sched, (struct braid_proxy_call *)context);
}

static int call_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  struct braid_proxy_call *call = (struct braid_proxy_call *)context;
  enum braid_status end = sched_end(sched);
  if (braid_proxy_answered(call)) return conclude(L, sched, call);
  call->end = end;
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  if (braid_proxy_cancel(call, &waiter->node)) return sched_park(L, sched, BRAID_NEVER, late_k, context);
  sched_forget(sched);
  return conclude(L, sched, call);
}

int lcall_perform(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation,
                  struct lcall_words *words) {
  struct sched *sched = sched_of(L);
  struct braid_proxy_call *waiting;
  if (!words->masked && !sched_may_begin(L, sched)) braid_item_drop(words->cell.item); /* sched_begin will raise */
  struct braid_waiter *waiter = words->masked ? sched_begin_masked(L, sched) : sched_begin(L, sched);
  words->call.once = words->deadline == LARG_ONCE;
  enum braid_status status =
      braid_proxy_call(proxy, operation, &words->call, words->key, &words->cell, &waiter->node, &waiting);
  braid_item_drop(words->cell.item);
  if (status == BRAID_WAIT) {
    waiting->asks = words->asks;
    return sched_park(L, sched, words->call.once ? BRAID_NEVER : words->deadline, call_k, (lua_KContext)waiting);
  }
  sched_forget(sched);
  if (words->asks && status == BRAID_GONE) return raise_gone(L);
  return hand_on(L, sched, proxy, operation, status, (struct braid_item){0}, 0);
}

int lcall_wait(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number,
               int64_t deadline) {
  struct lcall_words words = {.call = {.owner = lcall_me(sched_of(L)), .number = number}, .deadline = deadline};
  return lcall_perform(L, proxy, operation, &words);
}

int lcall_ask(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number) {
  struct lcall_words words = {.call = {.owner = lcall_me(sched_of(L)), .number = number},
                              .deadline = BRAID_NEVER,
                              .masked = true,
                              .asks = true};
  return lcall_perform(L, proxy, operation, &words);
}

void lcall_tell(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number) {
  struct braid_call call = {.owner = lcall_me(sched_of(L)), .number = number};
  braid_proxy_call(proxy, operation, &call, NULL, NULL, NULL, NULL);
}

int lcall_push_lock(lua_State *L, struct braid_proxy *proxy) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TUSERDATA) return 1;
  lobject_push(L, &proxy->lock->object);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
  return 1;
}

/* ---- answers -------------------------------------------------------------------------------------------------- */

int lcall_push_boolean(lua_State *L, bool value) {
  lua_pushboolean(L, value);
  return 1;
}

int lcall_push_integer(lua_State *L, struct braid_item item) {
  lua_pushinteger(L, (lua_Integer)item.bits);
  return 1;
}

int lcall_push_waited(lua_State *L, enum braid_status status, const char *what) {
  if (status == BRAID_EMPTY) status = BRAID_TIMEOUT;
  return status == BRAID_OK ? lcall_push_boolean(L, true) : lerror_return(L, status, what);
}

/* ---- classes -------------------------------------------------------------------------------------------------- */

void lcall_class(lua_State *L, enum braid_proxy_kind kind, const char *of, const luaL_Reg *methods,
                 lcall_finisher *finish) {
  struct sched *sched = sched_open(L);
  if (!sched->finishers) {
    sched->finishers = lua_newuserdatauv(L, sizeof *sched->finishers, 0);
    *sched->finishers = (struct call_finishers){0};
    lua_rawsetp(L, LUA_REGISTRYINDEX, &FINISHERS);
  }
  sched->finishers->of[kind] = finish;
  lobject_class(L, &braid_proxy_classes[kind], methods);
  lua_pushstring(L, of);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "_remote"); /* used by lua/braid/tasks/gather.lua */
  lua_createtable(L, 0, 1);
  luaL_getmetatable(L, of);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}
