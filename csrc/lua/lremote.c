/* SPDX-License-Identifier: MIT
 * Shared objects of the parent as a worker process's Lua holds them. Their metatables have the methods that speak with
 * the parent; what is written in Lua (lua/braid/queue.lua, sync.lua, dict.lua) they find in those of the objects
 * themselves. A wait that ends before its answer is there asks for one and waits on: what the parent says is what
 * happened. */
#include "../core/passport.h"
#include "../core/remote.h"

#include <lauxlib.h>

#include "larg.h"
#include "lcodec.h"
#include "lerror.h"
#include "litem.h"
#include "lobject.h"
#include "lopen.h"
#include "lsched.h"

static struct braid_remote *to_remote(struct braid_object *object) {
  return braid_container(object, struct braid_remote, object);
}

static struct braid_remote *check(lua_State *L, enum braid_remote_kind kind) {
  return to_remote(lobject_check(L, 1, &braid_remote_classes[kind]));
}

static uint64_t me(struct sched *sched) { return (uint64_t)(uintptr_t)sched->current; }

/* ---- items ---------------------------------------------------------------------------------------------------- */

/* The value at `index` as an item that may go to the parent. */
static struct braid_item make_item(lua_State *L, int index) {
  struct braid_item item = litem_copy(L, index);
  const struct braid_object *which;
  if (item.tag != BRAID_ITEM_MESSAGE) return item;
  struct braid_message *message = (struct braid_message *)(uintptr_t)item.bits;
  const char *why = braid_link_refuse(BRAID_LINK_TO_PARENT, message, &which);
  if (!why) return item;
  const char *name = which->class->name;
  braid_message_unref(message);
  lerror_raise(L, "not_sendable", "the item has a %s, which cannot be sent from a worker process: %s", name, why);
  return item;
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

/* What becomes of an answer. `status` is BRAID_OK, or how the wait ended; `extra` and the item are the answer's. Pushes
 * the results; raises what it likes. */
typedef int finisher(lua_State *L, struct sched *sched, enum braid_call_operation operation, enum braid_status status,
                     struct braid_item item, int64_t extra);

static finisher finish;
static int take_back(lua_State *L, struct sched *sched, enum braid_status waited);

static int conclude(lua_State *L, struct sched *sched, struct braid_remote_call *call) {
  enum braid_status status = call->status == BRAID_CANCELLED ? call->end : call->status;
  enum braid_call_operation operation = call->operation;
  struct braid_item item = call->item;
  int64_t extra = call->extra;
  braid_remote_free(call);
  if (operation == BRAID_CONDITION_WAIT) return take_back(L, sched, status);
  if (!sched_stopped(status)) return finish(L, sched, operation, status, item, extra);
  braid_item_drop(item);
  return sched_raise(L, sched, status);
}

static int late_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  sched_end(sched);
  return conclude(L, sched, (struct braid_remote_call *)context);
}

static int call_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  struct braid_remote_call *call = (struct braid_remote_call *)context;
  enum braid_status end = sched_end(sched);
  if (braid_remote_answered(call)) return conclude(L, sched, call);
  call->end = end;
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  if (braid_remote_cancel(call, &waiter->hook)) return sched_park(L, sched, BRAID_NEVER, late_k, context);
  sched_forget(sched);
  return conclude(L, sched, call);
}

/* Calls, waits for the answer, which `masked` says cannot be cancelled, and finishes. Uses the item up. */
static int perform(lua_State *L, struct braid_remote *remote, enum braid_call_operation operation,
                   struct braid_call *call, const char *key, struct braid_item item, int64_t deadline, bool masked) {
  struct sched *sched = sched_of(L);
  if (!masked && !sched_may_begin(L, sched)) braid_item_drop(item); /* it will raise */
  struct braid_waiter *waiter = masked ? sched_begin_masked(L, sched) : sched_begin(L, sched);
  call->once = deadline == LARG_ONCE;
  struct braid_remote_call *waiting = braid_remote_call(remote, operation, call, key, item, &waiter->hook);
  braid_item_drop(item);
  if (waiting) return sched_park(L, sched, call->once ? BRAID_NEVER : deadline, call_k, (lua_KContext)waiting);
  sched_forget(sched);
  return lerror_memory(L);
}

static const struct braid_item nothing = {0};

static int perform_plain(lua_State *L, struct braid_remote *remote, enum braid_call_operation operation, int64_t number,
                         int64_t deadline) {
  struct braid_call call = {.owner = me(sched_of(L)), .number = number};
  return perform(L, remote, operation, &call, NULL, nothing, deadline, false);
}

/* For what does not suspend where the object lives: nor is it cancelled here, so that clean-up may use it. */
static int ask(lua_State *L, struct braid_remote *remote, enum braid_call_operation operation, int64_t number) {
  struct braid_call call = {.owner = me(sched_of(L)), .number = number};
  return perform(L, remote, operation, &call, NULL, nothing, BRAID_NEVER, true);
}

/* Without an answer. */
static void tell(lua_State *L, struct braid_remote *remote, enum braid_call_operation operation, int64_t number) {
  struct braid_call call = {.owner = me(sched_of(L)), .number = number};
  braid_remote_call(remote, operation, &call, NULL, nothing, NULL);
}

/* ---- queue ---------------------------------------------------------------------------------------------------- */

enum { ORDER_PRIORITY = 2 };

static void check_value(lua_State *L) {
  if (lua_isnoneornil(L, 2)) larg_error(L, 2, "value", "anything but nil (braid.null stands for nothing)");
}

static int put(lua_State *L, int64_t deadline) {
  struct braid_remote *remote = check(L, BRAID_REMOTE_QUEUE);
  struct braid_call call = {.key = remote->order == ORDER_PRIORITY ? litem_key(L, 2) : 0};
  struct braid_item item = make_item(L, 2);
  if (!braid_remote_put(remote, item, &call.bits))
    return perform(L, remote, BRAID_QUEUE_PUT, &call, NULL, item, deadline, deadline == LARG_ONCE);
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
  check(L, BRAID_REMOTE_QUEUE);
  check_value(L);
  int64_t deadline = larg_timeout(L, 3);
  return sched_enter(L, sched) ? sched_pass(L, sched, put_k, 0) : put(L, deadline);
}

/* The queue's own answer, "full", in place of a timeout: 4 tells. */
static int queue_try_put(lua_State *L) {
  check_value(L);
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_pushboolean(L, 1);
  return put(L, LARG_ONCE);
}

static int get(lua_State *L, int64_t deadline) {
  struct braid_remote *remote = check(L, BRAID_REMOTE_QUEUE);
  struct braid_call call = {0};
  struct braid_item item;
  if (!braid_remote_get(remote, &item, &call))
    return perform(L, remote, BRAID_QUEUE_GET, &call, NULL, nothing, deadline, deadline == LARG_ONCE);
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
  check(L, BRAID_REMOTE_QUEUE);
  lua_settop(L, 2);
  return enter_get(L);
}

static int queue_try_get(lua_State *L) {
  check(L, BRAID_REMOTE_QUEUE);
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
  check(L, BRAID_REMOTE_QUEUE);
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
  if (status == BRAID_MISUSE)
    return lerror_raise(L, "not_sendable", "the item has something that cannot be sent to a worker process");
  return lerror_return(L, status, "queue:get");
}

static int queue_task_done(lua_State *L) { return ask(L, check(L, BRAID_REMOTE_QUEUE), BRAID_QUEUE_DONE, 0); }

static int queue_join(lua_State *L) {
  return perform_plain(L, check(L, BRAID_REMOTE_QUEUE), BRAID_QUEUE_JOIN, 0, larg_timeout(L, 2));
}

static int queue_close(lua_State *L) {
  struct braid_remote *remote = check(L, BRAID_REMOTE_QUEUE);
  braid_remote_settle(remote);
  tell(L, remote, BRAID_QUEUE_CLOSE, lua_toboolean(L, 2));
  return 0;
}

/* A look at the queue: what is wanted of it is at 2. */
static int look(lua_State *L, const char *what) {
  struct braid_remote *remote = check(L, BRAID_REMOTE_QUEUE);
  lua_settop(L, 1);
  lua_pushstring(L, what);
  braid_remote_settle(remote);
  return ask(L, remote, BRAID_QUEUE_LOOK, 0);
}

static int queue_size(lua_State *L) { return look(L, "size"); }
static int queue_is_empty(lua_State *L) { return look(L, "empty"); }
static int queue_is_full(lua_State *L) { return look(L, "full"); }
static int queue_closed(lua_State *L) { return look(L, "closed"); }

static int queue_maxsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L, BRAID_REMOTE_QUEUE)->maxsize);
  return 1;
}

static int look_answer(lua_State *L, struct braid_item item, int64_t closed) {
  uint64_t size = item.bits, maxsize = check(L, BRAID_REMOTE_QUEUE)->maxsize;
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

/* ---- lock ----------------------------------------------------------------------------------------------------- */

/* 3 tells: "hold" returns the object itself; 4: a try, whose "empty" is no timeout. */
static int acquire(lua_State *L, struct braid_remote *remote, enum braid_call_operation operation, bool hold,
                   bool once) {
  int64_t deadline = once ? LARG_ONCE : larg_timeout(L, 2);
  lua_settop(L, 2);
  lua_pushboolean(L, hold);
  lua_pushboolean(L, once);
  struct braid_call call = {.owner = me(sched_of(L))};
  return perform(L, remote, operation, &call, NULL, nothing, deadline, once);
}

static int acquired(lua_State *L, enum braid_status status, const char *what) {
  if (status == BRAID_EMPTY && !lua_toboolean(L, 4)) status = BRAID_TIMEOUT;
  if (status != BRAID_OK) return lerror_return(L, status, what);
  if (lua_toboolean(L, 3))
    lua_pushvalue(L, 1);
  else
    lua_pushboolean(L, 1);
  return 1;
}

static void own(lua_State *L, struct sched *sched, struct braid_remote *lock) {
  sched->current->waiter.flags |= TASK_HOLDS;
  if (!braid_remote_hold(lock, me(sched))) lerror_memory(L);
}

static int lock_answer(lua_State *L, struct sched *sched, enum braid_status status) {
  if (status == BRAID_MISUSE) return lerror_misuse(L, "this task holds the lock already: it would wait for itself");
  if (status == BRAID_OK) own(L, sched, check(L, BRAID_REMOTE_LOCK));
  return acquired(L, status, "lock:acquire");
}

static int take_lock(lua_State *L, bool hold, bool once) {
  return acquire(L, check(L, BRAID_REMOTE_LOCK), BRAID_LOCK_ACQUIRE, hold, once);
}

static int lock_acquire(lua_State *L) { return take_lock(L, false, false); }
static int lock_hold(lua_State *L) { return take_lock(L, true, false); }
static int lock_try_acquire(lua_State *L) { return take_lock(L, false, true); }

static int lock_release(lua_State *L) {
  struct braid_remote *lock = check(L, BRAID_REMOTE_LOCK);
  if (!braid_remote_unhold(lock, me(sched_of(L))))
    return lerror_misuse(L, "only the task that holds a lock may release it");
  tell(L, lock, BRAID_LOCK_RELEASE, 0);
  return 0;
}

static int lock_locked(lua_State *L) { return ask(L, check(L, BRAID_REMOTE_LOCK), BRAID_GATE_LOOK, 0); }

static const luaL_Reg lock_methods[] = {
    {"acquire", lock_acquire}, {"try_acquire", lock_try_acquire}, {"hold", lock_hold}, {"release", lock_release},
    {"__close", lock_release}, {"locked", lock_locked},           {NULL, NULL},
};

/* Called when a task ends that has held a lock, after what is done for locks of its own process. */
static void (*_Atomic abandon_own)(struct sched *sched, struct task *task);

static void abandon(struct sched *sched, struct task *task) {
  atomic_load (&abandon_own)(sched, task);
  braid_remote_abandon((uint64_t)(uintptr_t)task);
}

/* ---- semaphore ------------------------------------------------------------------------------------------------ */

static int take_turn(lua_State *L, bool hold, bool once) {
  return acquire(L, check(L, BRAID_REMOTE_SEMAPHORE), BRAID_SEMAPHORE_ACQUIRE, hold, once);
}

static int semaphore_acquire(lua_State *L) { return take_turn(L, false, false); }
static int semaphore_hold(lua_State *L) { return take_turn(L, true, false); }
static int semaphore_try_acquire(lua_State *L) { return take_turn(L, false, true); }

static int semaphore_release(lua_State *L) {
  struct braid_remote *semaphore = check(L, BRAID_REMOTE_SEMAPHORE);
  return ask(L, semaphore, BRAID_SEMAPHORE_RELEASE, lua_isnoneornil(L, 2) ? 1 : larg_integer(L, 2, "count", 1));
}

static int semaphore_close(lua_State *L) {
  tell(L, check(L, BRAID_REMOTE_SEMAPHORE), BRAID_SEMAPHORE_RELEASE, 1);
  return 0;
}

static int semaphore_value(lua_State *L) { return ask(L, check(L, BRAID_REMOTE_SEMAPHORE), BRAID_GATE_LOOK, 0); }

static const luaL_Reg semaphore_methods[] = {
    {"acquire", semaphore_acquire},
    {"try_acquire", semaphore_try_acquire},
    {"hold", semaphore_hold},
    {"release", semaphore_release},
    {"__close", semaphore_close},
    {"value", semaphore_value},
    {NULL, NULL},
};

/* ---- event ---------------------------------------------------------------------------------------------------- */

static int event_wait(lua_State *L) {
  struct braid_remote *event = check(L, BRAID_REMOTE_EVENT);
  int64_t deadline = larg_timeout(L, 2);
  lua_settop(L, 2);
  return perform_plain(L, event, BRAID_EVENT_WAIT, 0, deadline);
}

static int event_set(lua_State *L) {
  tell(L, check(L, BRAID_REMOTE_EVENT), BRAID_EVENT_SET, 1);
  return 0;
}

static int event_clear(lua_State *L) {
  tell(L, check(L, BRAID_REMOTE_EVENT), BRAID_EVENT_SET, 0);
  return 0;
}

static int event_is_set(lua_State *L) { return ask(L, check(L, BRAID_REMOTE_EVENT), BRAID_GATE_LOOK, 0); }

static const luaL_Reg event_methods[] = {
    {"wait", event_wait}, {"set", event_set}, {"clear", event_clear}, {"is_set", event_is_set}, {NULL, NULL},
};

/* ---- condition ------------------------------------------------------------------------------------------------ */

/* condition:lock() and dict:_lock(): the box of the lock's stub, in the user value of this one's. */
static int push_lock(lua_State *L, struct braid_remote *remote) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TUSERDATA) return 1;
  lobject_push(L, &remote->lock->object);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
  return 1;
}

static int condition_lock(lua_State *L) { return push_lock(L, check(L, BRAID_REMOTE_CONDITION)); }

static int condition_wait(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct braid_remote *condition = check(L, BRAID_REMOTE_CONDITION);
  int64_t deadline = larg_timeout(L, 2);
  if (!braid_remote_holds(condition->lock, me(sched)))
    return lerror_misuse(L, "a condition is waited for with its lock held: acquire it first");
  if (!sched_may_begin(L, sched)) sched_begin(L, sched); /* raises */
  lua_settop(L, 2);
  braid_remote_unhold(condition->lock, me(sched));
  if (deadline == LARG_ONCE) deadline = braid_clock_now();
  return perform_plain(L, condition, BRAID_CONDITION_WAIT, 0, deadline);
}

static int back_k(lua_State *L, int ignored, lua_KContext context);

/* The wait is over, however it ended (`waited`): the lock is taken back before anything else. */
static int take_back(lua_State *L, struct sched *sched, enum braid_status waited) {
  struct braid_remote *condition = check(L, BRAID_REMOTE_CONDITION);
  struct braid_call call = {.owner = me(sched)};
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  struct braid_remote_call *waiting =
      braid_remote_call(condition->lock, BRAID_LOCK_ACQUIRE, &call, NULL, nothing, &waiter->hook);
  if (waiting) {
    waiting->end = waited;
    return sched_park(L, sched, BRAID_NEVER, back_k, (lua_KContext)waiting);
  }
  sched_forget(sched);
  return lerror_memory(L);
}

static int back_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  struct braid_remote_call *call = (struct braid_remote_call *)context;
  enum braid_status waited = call->end, status = call->status;
  sched_end(sched);
  braid_remote_free(call);
  if (status == BRAID_OWNER_DIED) return take_back(L, sched, waited);
  own(L, sched, check(L, BRAID_REMOTE_CONDITION)->lock);
  if (sched_stopped(waited)) return sched_raise(L, sched, waited);
  return waited == BRAID_OK ? (lua_pushboolean(L, 1), 1) : lerror_return(L, waited, "condition:wait");
}

static int notify(lua_State *L, int64_t most) {
  struct braid_remote *condition = check(L, BRAID_REMOTE_CONDITION);
  if (!braid_remote_holds(condition->lock, me(sched_of(L))))
    return lerror_misuse(L, "a condition is notified with its lock held: acquire it first");
  tell(L, condition, BRAID_CONDITION_NOTIFY, most);
  return 0;
}

static int condition_notify(lua_State *L) { return notify(L, lua_isnoneornil(L, 2) ? 1 : larg_integer(L, 2, "n", 0)); }

static int condition_notify_all(lua_State *L) { return notify(L, INT64_MAX); }

static const luaL_Reg condition_methods[] = {
    {"wait", condition_wait},
    {"notify", condition_notify},
    {"notify_all", condition_notify_all},
    {"lock", condition_lock},
    {NULL, NULL},
};

/* ---- barrier -------------------------------------------------------------------------------------------------- */

static int barrier_wait(lua_State *L) {
  struct braid_remote *barrier = check(L, BRAID_REMOTE_BARRIER);
  int64_t deadline = larg_timeout(L, 2);
  lua_settop(L, 2);
  if (deadline == LARG_ONCE) deadline = braid_clock_now();
  return perform_plain(L, barrier, BRAID_BARRIER_WAIT, 0, deadline);
}

static int barrier_abort(lua_State *L) {
  tell(L, check(L, BRAID_REMOTE_BARRIER), BRAID_BARRIER_ABORT, 0);
  return 0;
}

static int barrier_reset(lua_State *L) {
  tell(L, check(L, BRAID_REMOTE_BARRIER), BRAID_BARRIER_RESET, 0);
  return 0;
}

static const luaL_Reg barrier_methods[] = {
    {"wait", barrier_wait}, {"abort", barrier_abort}, {"reset", barrier_reset}, {NULL, NULL}};

/* ---- counter -------------------------------------------------------------------------------------------------- */

static int counter_add(lua_State *L) {
  struct braid_remote *counter = check(L, BRAID_REMOTE_COUNTER);
  return ask(L, counter, BRAID_COUNTER_ADD, lua_isnoneornil(L, 2) ? 1 : larg_integer(L, 2, "n", LUA_MININTEGER));
}

static int counter_get(lua_State *L) { return ask(L, check(L, BRAID_REMOTE_COUNTER), BRAID_COUNTER_GET, 0); }

static int counter_set(lua_State *L) {
  struct braid_remote *counter = check(L, BRAID_REMOTE_COUNTER);
  tell(L, counter, BRAID_COUNTER_SET, larg_integer(L, 2, "value", LUA_MININTEGER));
  return 0;
}

static const luaL_Reg counter_methods[] = {
    {"add", counter_add}, {"get", counter_get}, {"set", counter_set}, {NULL, NULL}};

/* ---- dict ----------------------------------------------------------------------------------------------------- */

static int perform_keyed(lua_State *L, enum braid_call_operation operation, struct braid_item item) {
  struct braid_remote *dict = check(L, BRAID_REMOTE_DICT);
  struct braid_key key = litem_dict_key(L, 2);
  struct braid_buffer bytes;
  size_t size = 1 + sizeof key.bits + (key.tag == BRAID_ITEM_NONE ? (size_t)key.bits : 0);
  struct braid_call call = {.owner = me(sched_of(L)), .key_size = (uint32_t)size};
  braid_buffer_init(&bytes);
  bytes.data = lua_newuserdatauv(L, size, 0); /* Lua's, so that nothing is lost when something raises */
  bytes.capacity = size;
  braid_key_write(&bytes, &key);
  return perform(L, dict, operation, &call, bytes.data, item, BRAID_NEVER, true);
}

static int dict_get(lua_State *L) { return perform_keyed(L, BRAID_DICT_GET, nothing); }

/* dict:_set(key, value) -> whether nobody else held the lock */
static int dict_set(lua_State *L) {
  check(L, BRAID_REMOTE_DICT);
  litem_dict_key(L, 2);
  return perform_keyed(L, BRAID_DICT_SET, make_item(L, 3));
}

static int dict_size(lua_State *L) { return ask(L, check(L, BRAID_REMOTE_DICT), BRAID_DICT_SIZE, 0); }

static int dict_keys(lua_State *L) { return ask(L, check(L, BRAID_REMOTE_DICT), BRAID_DICT_KEYS, 0); }

static int dict_lock(lua_State *L) { return push_lock(L, check(L, BRAID_REMOTE_DICT)); }

static int dict_mine(lua_State *L) {
  lua_pushboolean(L, braid_remote_holds(check(L, BRAID_REMOTE_DICT)->lock, me(sched_of(L))));
  return 1;
}

static int keys_answer(lua_State *L, struct braid_item item) {
  struct braid_message *message = (struct braid_message *)(uintptr_t)item.bits;
  struct braid_buffer keys;
  braid_buffer_init(&keys);
  bool whole = message && braid_buffer_append(&keys, message->bytes, message->size);
  braid_item_drop(item);
  return litem_push_keys(L, &keys, whole);
}

static const luaL_Reg dict_methods[] = {
    {"get", dict_get},    {"_set", dict_set},   {"size", dict_size}, {"keys", dict_keys},
    {"_lock", dict_lock}, {"_mine", dict_mine}, {NULL, NULL},
};

/* ---- answers -------------------------------------------------------------------------------------------------- */

static int push_boolean(lua_State *L, bool value) {
  lua_pushboolean(L, value);
  return 1;
}

static int push_integer(lua_State *L, struct braid_item item) {
  lua_pushinteger(L, (lua_Integer)item.bits);
  return 1;
}

static int wait_answer(lua_State *L, enum braid_status status, const char *what) {
  if (status == BRAID_EMPTY) status = BRAID_TIMEOUT;
  return status == BRAID_OK ? push_boolean(L, true) : lerror_return(L, status, what);
}

/* A number for a semaphore, a truth for a lock and an event. */
static int gate_answer(lua_State *L, struct braid_item item) {
  bool is_semaphore = lobject_test(L, 1, &braid_remote_classes[BRAID_REMOTE_SEMAPHORE]) != NULL;
  return is_semaphore ? push_integer(L, item) : push_boolean(L, item.bits != 0);
}

static int finish(lua_State *L, struct sched *sched, enum braid_call_operation operation, enum braid_status status,
                  struct braid_item item, int64_t extra) {
  if (status == BRAID_NO_MEMORY) return lerror_memory(L);
  switch (operation) {
    case BRAID_QUEUE_PUT: return put_answer(L, status);
    case BRAID_QUEUE_GET: return get_answer(L, status, item);
    case BRAID_QUEUE_DONE:
      if (status == BRAID_OK) return 0;
      return lerror_misuse(L, "task_done was called more often than items were put");
    case BRAID_QUEUE_JOIN: return wait_answer(L, status, "queue:join");
    case BRAID_QUEUE_LOOK: return look_answer(L, item, extra);
    case BRAID_LOCK_ACQUIRE: return lock_answer(L, sched, status);
    case BRAID_GATE_LOOK: return gate_answer(L, item);
    case BRAID_SEMAPHORE_ACQUIRE: return acquired(L, status, "semaphore:acquire");
    case BRAID_SEMAPHORE_RELEASE:
      if (status == BRAID_OK) return 0;
      return lerror_misuse(L, "the semaphore was released more often than acquired");
    case BRAID_EVENT_WAIT: return wait_answer(L, status, "event:wait");
    case BRAID_BARRIER_WAIT:
      return status == BRAID_OK ? push_integer(L, item) : lerror_return(L, status, "barrier:wait");
    case BRAID_DICT_GET: litem_push(L, item, 0); return 1;
    case BRAID_DICT_SET: return push_boolean(L, status == BRAID_OK);
    case BRAID_DICT_KEYS: return keys_answer(L, item);
    default: return push_integer(L, item); /* COUNTER_ADD, COUNTER_GET, DICT_SIZE */
  }
}

/* --------------------------------------------------------------------------------------------------------------- */

void lremote_open(lua_State *L) {
  static const struct {
    const luaL_Reg *methods;
    const char *of; /* the class whose methods in Lua it has, too */
  } classes[BRAID_REMOTE_KINDS] = {
      [BRAID_REMOTE_QUEUE] = {queue_methods, "braid.queue"},
      [BRAID_REMOTE_LOCK] = {lock_methods, "braid.lock"},
      [BRAID_REMOTE_SEMAPHORE] = {semaphore_methods, "braid.semaphore"},
      [BRAID_REMOTE_EVENT] = {event_methods, "braid.event"},
      [BRAID_REMOTE_CONDITION] = {condition_methods, "braid.condition"},
      [BRAID_REMOTE_BARRIER] = {barrier_methods, "braid.barrier"},
      [BRAID_REMOTE_COUNTER] = {counter_methods, "braid.counter"},
      [BRAID_REMOTE_DICT] = {dict_methods, "braid.dict"},
  };
  struct sched *sched = sched_open(L);
  braid_passport_use();
  if (sched->abandon != abandon) {
    atomic_store(&abandon_own, sched->abandon); /* in every state the same */
    sched->abandon = abandon;
  }
  for (int kind = 0; kind < BRAID_REMOTE_KINDS; kind++) {
    lobject_class(L, &braid_remote_classes[kind], classes[kind].methods);
    lua_pushstring(L, classes[kind].of);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "_remote"); /* for lua/braid/gather.lua */
    lua_createtable(L, 0, 1);
    luaL_getmetatable(L, classes[kind].of);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}
