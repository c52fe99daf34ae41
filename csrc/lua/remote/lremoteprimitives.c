/* SPDX-License-Identifier: MIT
 * Locks, semaphores, events, conditions and barriers that live in another process, for Lua. */
#include "lua/base/larg.h"
#include "lua/remote/lcall.h"
#include "lua/base/lerror.h"
#include "lua/sched/lheld.h"
#include "lua/base/lopen.h"
#include "lua/sync/lprimitivebase.h"

/* ---- lock ----------------------------------------------------------------------------------------------------- */

/* On the stack: 3 true for "hold", which returns the object; 4 true for a try, where "empty" does not mean a timeout.
 */
static int acquire(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, bool hold, bool once) {
  int64_t deadline = once ? LARG_ONCE : larg_timeout(L, 2);
  lua_settop(L, 2);
  lua_pushboolean(L, hold);
  lua_pushboolean(L, once);
  struct lcall_words words = {.call.owner = lcall_me(sched_of(L)), .deadline = deadline, .masked = once};
  return lcall_perform(L, proxy, operation, &words);
}

static int acquired(lua_State *L, enum braid_status status, const char *what) {
  return primitive_taken(L, lua_toboolean(L, 4) ? status : primitive_once(status), what, lua_toboolean(L, 3));
}

static void own(lua_State *L, struct sched *sched, struct braid_proxy *lock) {
  held_mark(sched);
  if (!braid_proxy_hold(lock, lcall_me(sched))) lerror_memory(L);
}

static int finish_lock(lua_State *L, struct sched *sched, enum braid_call_operation operation, enum braid_status status,
                       struct braid_item item, int64_t extra) {
  (void)extra;
  if (operation == BRAID_PRIMITIVE_LOOK) return lcall_push_boolean(L, item.bits != 0);
  if (status == BRAID_MISUSE) return primitive_refuse_again(L);
  if (status == BRAID_OK) own(L, sched, lcall_check(L, BRAID_PROXY_LOCK));
  return acquired(L, status, "lock:acquire");
}

static int take_lock(lua_State *L, bool hold, bool once) {
  return acquire(L, lcall_check(L, BRAID_PROXY_LOCK), BRAID_LOCK_ACQUIRE, hold, once);
}

static int lock_acquire(lua_State *L) { return take_lock(L, false, false); }
static int lock_hold(lua_State *L) { return take_lock(L, true, false); }
static int lock_try_acquire(lua_State *L) { return take_lock(L, false, true); }

static int lock_release(lua_State *L) {
  struct braid_proxy *lock = lcall_check(L, BRAID_PROXY_LOCK);
  if (!braid_proxy_unhold(lock, lcall_me(sched_of(L)))) return primitive_refuse_release(L);
  lcall_tell(L, lock, BRAID_LOCK_RELEASE, 0);
  return 0;
}

static int lock_locked(lua_State *L) { return lcall_ask(L, lcall_check(L, BRAID_PROXY_LOCK), BRAID_PRIMITIVE_LOOK, 0); }

static const luaL_Reg lock_methods[] = {
    {"acquire", lock_acquire}, {"try_acquire", lock_try_acquire}, {"hold", lock_hold}, {"release", lock_release},
    {"__close", lock_release}, {"locked", lock_locked},           {NULL, NULL},
};

/* ---- semaphore ------------------------------------------------------------------------------------------------ */

static int take_turn(lua_State *L, bool hold, bool once) {
  return acquire(L, lcall_check(L, BRAID_PROXY_SEMAPHORE), BRAID_SEMAPHORE_ACQUIRE, hold, once);
}

static int semaphore_acquire(lua_State *L) { return take_turn(L, false, false); }
static int semaphore_hold(lua_State *L) { return take_turn(L, true, false); }
static int semaphore_try_acquire(lua_State *L) { return take_turn(L, false, true); }

static int semaphore_release(lua_State *L) {
  struct braid_proxy *semaphore = lcall_check(L, BRAID_PROXY_SEMAPHORE);
  return lcall_ask(L, semaphore, BRAID_SEMAPHORE_RELEASE, primitive_count(L));
}

static int semaphore_close(lua_State *L) {
  lcall_tell(L, lcall_check(L, BRAID_PROXY_SEMAPHORE), BRAID_SEMAPHORE_RELEASE, 1);
  return 0;
}

static int semaphore_value(lua_State *L) {
  return lcall_ask(L, lcall_check(L, BRAID_PROXY_SEMAPHORE), BRAID_PRIMITIVE_LOOK, 0);
}

static const luaL_Reg semaphore_methods[] = {
    {"acquire", semaphore_acquire},
    {"try_acquire", semaphore_try_acquire},
    {"hold", semaphore_hold},
    {"release", semaphore_release},
    {"__close", semaphore_close},
    {"value", semaphore_value},
    {NULL, NULL},
};

static int finish_semaphore(lua_State *L, struct sched *sched, enum braid_call_operation operation,
                            enum braid_status status, struct braid_item item, int64_t extra) {
  (void)extra;
  (void)sched;
  if (operation == BRAID_PRIMITIVE_LOOK) return lcall_push_integer(L, item);
  if (operation == BRAID_SEMAPHORE_ACQUIRE) return acquired(L, status, "semaphore:acquire");
  return status == BRAID_OK ? 0 : primitive_refuse_surplus(L);
}

/* ---- event ---------------------------------------------------------------------------------------------------- */

static int event_wait(lua_State *L) {
  struct braid_proxy *event = lcall_check(L, BRAID_PROXY_EVENT);
  int64_t deadline = larg_timeout(L, 2);
  lua_settop(L, 2);
  return lcall_wait(L, event, BRAID_EVENT_WAIT, 0, deadline);
}

static int event_set(lua_State *L) {
  lcall_tell(L, lcall_check(L, BRAID_PROXY_EVENT), BRAID_EVENT_SET, 1);
  return 0;
}

static int event_clear(lua_State *L) {
  lcall_tell(L, lcall_check(L, BRAID_PROXY_EVENT), BRAID_EVENT_SET, 0);
  return 0;
}

static int event_is_set(lua_State *L) {
  return lcall_ask(L, lcall_check(L, BRAID_PROXY_EVENT), BRAID_PRIMITIVE_LOOK, 0);
}

static const luaL_Reg event_methods[] = {
    {"wait", event_wait}, {"set", event_set}, {"clear", event_clear}, {"is_set", event_is_set}, {NULL, NULL},
};

static int finish_event(lua_State *L, struct sched *sched, enum braid_call_operation operation,
                        enum braid_status status, struct braid_item item, int64_t extra) {
  (void)extra;
  (void)sched;
  if (operation == BRAID_PRIMITIVE_LOOK) return lcall_push_boolean(L, item.bits != 0);
  return primitive_answer(L, primitive_once(status), "event:wait");
}

/* ---- condition ------------------------------------------------------------------------------------------------ */

static int condition_lock(lua_State *L) { return lcall_push_lock(L, lcall_check(L, BRAID_PROXY_CONDITION)); }

static int condition_wait(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct braid_proxy *condition = lcall_check(L, BRAID_PROXY_CONDITION);
  int64_t deadline = primitive_deadline(L);
  if (!braid_proxy_holds(condition->lock, lcall_me(sched))) return primitive_refuse_wait(L);
  if (!sched_may_begin(L, sched)) sched_begin(L, sched); /* raises */
  lua_settop(L, 2);
  braid_proxy_unhold(condition->lock, lcall_me(sched));
  return lcall_wait(L, condition, BRAID_CONDITION_WAIT, 0, deadline);
}

static int back_k(lua_State *L, int ignored, lua_KContext context);

/* Takes the lock again, however the wait (`waited`) has ended. */
static int take_back(lua_State *L, struct sched *sched, enum braid_status waited) {
  struct braid_proxy *condition = lcall_check(L, BRAID_PROXY_CONDITION);
  struct braid_call call = {.owner = lcall_me(sched)};
  struct braid_proxy_call *waiting;
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  enum braid_status status =
      braid_proxy_call(condition->lock, BRAID_LOCK_ACQUIRE, &call, NULL, NULL, &waiter->node, &waiting);
  if (status == BRAID_WAIT) {
    waiting->end = waited;
    return sched_park(L, sched, BRAID_NEVER, back_k, (lua_KContext)waiting);
  }
  sched_forget(sched);
  return lerror_return(L, status, "condition:wait");
}

static int back_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  struct braid_proxy_call *call = (struct braid_proxy_call *)context;
  enum braid_status waited = call->end, status = call->status;
  sched_end(sched);
  braid_proxy_free(call);
  if (status == BRAID_OWNER_DIED) return take_back(L, sched, waited);
  if (status == BRAID_GONE || status == BRAID_NO_MEMORY) return lerror_return(L, status, "condition:wait");
  own(L, sched, lcall_check(L, BRAID_PROXY_CONDITION)->lock);
  if (sched_stopped(waited)) return sched_raise(L, sched, waited);
  return primitive_answer(L, waited, "condition:wait");
}

static int finish_condition(lua_State *L, struct sched *sched, enum braid_call_operation operation,
                            enum braid_status status, struct braid_item item, int64_t extra) {
  (void)extra;
  (void)operation, (void)item;
  return take_back(L, sched, status);
}

static int notify(lua_State *L, int64_t most) {
  struct braid_proxy *condition = lcall_check(L, BRAID_PROXY_CONDITION);
  if (!braid_proxy_holds(condition->lock, lcall_me(sched_of(L)))) return primitive_refuse_notice(L);
  lcall_tell(L, condition, BRAID_CONDITION_NOTIFY, most);
  return 0;
}

static int condition_notify(lua_State *L) { return notify(L, primitive_most(L)); }

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
  struct braid_proxy *barrier = lcall_check(L, BRAID_PROXY_BARRIER);
  int64_t deadline = primitive_deadline(L);
  lua_settop(L, 2);
  return lcall_wait(L, barrier, BRAID_BARRIER_WAIT, 0, deadline);
}

static int barrier_abort(lua_State *L) {
  lcall_tell(L, lcall_check(L, BRAID_PROXY_BARRIER), BRAID_BARRIER_ABORT, 0);
  return 0;
}

static int barrier_reset(lua_State *L) {
  lcall_tell(L, lcall_check(L, BRAID_PROXY_BARRIER), BRAID_BARRIER_RESET, 0);
  return 0;
}

static const luaL_Reg barrier_methods[] = {
    {"wait", barrier_wait}, {"abort", barrier_abort}, {"reset", barrier_reset}, {NULL, NULL}};

static int finish_barrier(lua_State *L, struct sched *sched, enum braid_call_operation operation,
                          enum braid_status status, struct braid_item item, int64_t extra) {
  (void)extra;
  (void)sched, (void)operation;
  return status == BRAID_OK ? lcall_push_integer(L, item) : lerror_return(L, status, "barrier:wait");
}

/* --------------------------------------------------------------------------------------------------------------- */

void lremoteprimitives_open(lua_State *L) {
  lcall_class(L, BRAID_PROXY_LOCK, "braid.lock", lock_methods, finish_lock);
  lcall_class(L, BRAID_PROXY_SEMAPHORE, "braid.semaphore", semaphore_methods, finish_semaphore);
  lcall_class(L, BRAID_PROXY_EVENT, "braid.event", event_methods, finish_event);
  lcall_class(L, BRAID_PROXY_CONDITION, "braid.condition", condition_methods, finish_condition);
  lcall_class(L, BRAID_PROXY_BARRIER, "braid.barrier", barrier_methods, finish_barrier);
}
