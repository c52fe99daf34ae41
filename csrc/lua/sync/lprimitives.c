/* SPDX-License-Identifier: MIT
 * Lock, semaphore, event, condition and barrier, for Lua. A lock's owner is a task or the script. The core identifies
 * it by the address of its struct. */
#include "core/sync/primitives.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/sched/lheld.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/sync/lprimitivebase.h"

static struct braid_primitive *check(lua_State *L, const struct braid_class *class) {
  return braid_container(lobject_check(L, 1, class), struct braid_primitive, object);
}

static int box(lua_State *L, struct braid_primitive *primitive) {
  lobject_fill(L, primitive ? &primitive->object : NULL);
  return 1;
}

/* ---- lock ----------------------------------------------------------------------------------------------------- */

enum { ACQUIRE, HOLD }; /* what success returns: true; the lock, which `<close>` releases */

static uint64_t me(struct sched *sched) { return (uint64_t)(uintptr_t)sched->current; }

static int lock_answer(lua_State *L, struct sched *sched, enum braid_status status, lua_KContext how) {
  struct braid_primitive *primitive = check(L, &braid_lock_class);
  if (status == BRAID_MISUSE) return primitive_refuse_again(L);
  if (status == BRAID_OK) held_add(sched, primitive);
  return primitive_taken(L, status, "lock:acquire", how == HOLD);
}

static int lock_k(lua_State *L, int ignored, lua_KContext how) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  return sched_stopped(end) ? sched_raise(L, sched, end) : lock_answer(L, sched, end, how);
}

static int try_lock(lua_State *L, int entered, lua_KContext how) {
  struct sched *sched = sched_of(L);
  struct braid_primitive *primitive = check(L, &braid_lock_class);
  int64_t deadline = larg_timeout(L, 2);
  sched_entered(sched, entered);
  enum braid_status status = braid_lock_acquire(primitive, me(sched), NULL);
  if (status != BRAID_EMPTY || deadline == LARG_ONCE) return lock_answer(L, sched, primitive_once(status), how);
  struct braid_waiter *waiter = sched_begin(L, sched);
  status = braid_lock_acquire(primitive, me(sched), &waiter->node);
  if (status == BRAID_WAIT) return sched_park(L, sched, deadline, lock_k, how);
  sched_forget(sched);
  return lock_answer(L, sched, status, how);
}

static int take_lock(lua_State *L, lua_KContext how) { return sched_attempt(L, sched_of(L), try_lock, how); }

static int lock_new(lua_State *L) {
  lobject_box(L, &braid_lock_class);
  return box(L, braid_primitive_new(&braid_lock_class, 0, 0));
}

/* lock:acquire(timeout?) -> true, or nil and an error. Suspends. */
static int lock_acquire(lua_State *L) { return take_lock(L, ACQUIRE); }

/* lock:hold(timeout?) -> the lock, for a `<close>` variable, which releases it; or nil and an error. Suspends. */
static int lock_hold(lua_State *L) { return take_lock(L, HOLD); }

/* lock:try_acquire() -> true, or nil and an error. */
static int lock_try_acquire(lua_State *L) {
  struct sched *sched = sched_of(L);
  enum braid_status status = braid_lock_acquire(check(L, &braid_lock_class), me(sched), NULL);
  return lock_answer(L, sched, status, ACQUIRE);
}

static int release(lua_State *L, struct sched *sched, struct braid_primitive *primitive) {
  if (braid_lock_owner(primitive) != me(sched)) return primitive_refuse_release(L);
  held_remove(primitive);
  braid_lock_release(primitive, me(sched));
  return 0;
}

static int lock_release(lua_State *L) { return release(L, sched_of(L), check(L, &braid_lock_class)); }

static int lock_locked(lua_State *L) {
  lua_pushboolean(L, braid_lock_owner(check(L, &braid_lock_class)) != 0);
  return 1;
}

static const luaL_Reg lock_methods[] = {
    {"acquire", lock_acquire}, {"try_acquire", lock_try_acquire}, {"hold", lock_hold}, {"release", lock_release},
    {"__close", lock_release}, {"locked", lock_locked},           {NULL, NULL},
};

/* ---- semaphore ------------------------------------------------------------------------------------------------ */

static int semaphore_answer(lua_State *L, enum braid_status status, lua_KContext how) {
  return primitive_taken(L, status, "semaphore:acquire", how == HOLD);
}

static int semaphore_k(lua_State *L, int ignored, lua_KContext how) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  return sched_stopped(end) ? sched_raise(L, sched, end) : semaphore_answer(L, end, how);
}

static int try_turn(lua_State *L, int entered, lua_KContext how) {
  struct sched *sched = sched_of(L);
  struct braid_primitive *primitive = check(L, &braid_semaphore_class);
  int64_t deadline = larg_timeout(L, 2);
  sched_entered(sched, entered);
  enum braid_status status = braid_semaphore_acquire(primitive, NULL);
  if (status != BRAID_EMPTY || deadline == LARG_ONCE) return semaphore_answer(L, primitive_once(status), how);
  struct braid_waiter *waiter = sched_begin(L, sched);
  status = braid_semaphore_acquire(primitive, &waiter->node);
  if (status == BRAID_WAIT) return sched_park(L, sched, deadline, semaphore_k, how);
  sched_forget(sched);
  return semaphore_answer(L, status, how);
}

static int take_turn(lua_State *L, lua_KContext how) { return sched_attempt(L, sched_of(L), try_turn, how); }

/* semaphore_new(turns, unbounded) -> semaphore */
static int semaphore_new(lua_State *L) {
  lua_Integer turns = larg_integer(L, 1, "n", 0);
  lobject_box(L, &braid_semaphore_class);
  return box(L, braid_primitive_new(&braid_semaphore_class, turns, lua_toboolean(L, 2) ? INT64_MAX : turns));
}

static int semaphore_acquire(lua_State *L) { return take_turn(L, ACQUIRE); }

static int semaphore_hold(lua_State *L) { return take_turn(L, HOLD); }

static int semaphore_try_acquire(lua_State *L) {
  return semaphore_answer(L, braid_semaphore_acquire(check(L, &braid_semaphore_class), NULL), ACQUIRE);
}

static int give_turns(lua_State *L, int64_t turns) {
  if (braid_semaphore_release(check(L, &braid_semaphore_class), turns) == BRAID_MISUSE)
    return primitive_refuse_surplus(L);
  return 0;
}

/* semaphore:release(count?) */
static int semaphore_release(lua_State *L) {
  check(L, &braid_semaphore_class);
  return give_turns(L, primitive_count(L));
}

static int semaphore_close(lua_State *L) { return give_turns(L, 1); }

static int semaphore_value(lua_State *L) {
  lua_pushinteger(L, braid_primitive_count(check(L, &braid_semaphore_class)));
  return 1;
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

/* ---- event ---------------------------------------------------------------------------------------------------- */

static int event_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  return sched_stopped(end) ? sched_raise(L, sched, end) : primitive_answer(L, end, "event:wait");
}

static int event_new(lua_State *L) {
  lobject_box(L, &braid_event_class);
  return box(L, braid_primitive_new(&braid_event_class, 0, 1));
}

static int try_event(lua_State *L, int entered, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  struct braid_primitive *primitive = check(L, &braid_event_class);
  int64_t deadline = larg_timeout(L, 2);
  sched_entered(sched, entered);
  enum braid_status status = braid_event_wait(primitive, NULL);
  if (status != BRAID_EMPTY || deadline == LARG_ONCE) return primitive_answer(L, primitive_once(status), "event:wait");
  struct braid_waiter *waiter = sched_begin(L, sched);
  status = braid_event_wait(primitive, &waiter->node);
  if (status == BRAID_WAIT) return sched_park(L, sched, deadline, event_k, 0);
  sched_forget(sched);
  return primitive_answer(L, status, "event:wait");
}

/* event:wait(timeout?) -> true, or nil and an error. Suspends. */
static int event_wait(lua_State *L) { return sched_attempt(L, sched_of(L), try_event, 0); }

static int event_set(lua_State *L) {
  braid_event_set(check(L, &braid_event_class), true);
  return 0;
}

static int event_clear(lua_State *L) {
  braid_event_set(check(L, &braid_event_class), false);
  return 0;
}

static int event_is_set(lua_State *L) {
  lua_pushboolean(L, braid_primitive_count(check(L, &braid_event_class)) != 0);
  return 1;
}

static const luaL_Reg event_methods[] = {
    {"wait", event_wait}, {"set", event_set}, {"clear", event_clear}, {"is_set", event_is_set}, {NULL, NULL},
};

/* ---- condition ------------------------------------------------------------------------------------------------ */

static int condition_new(lua_State *L) {
  struct braid_primitive *lock = check(L, &braid_lock_class);
  lobject_box(L, &braid_condition_class);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return box(L, braid_condition_new(lock));
}

/* condition:lock() -> its lock. The user value keeps the lock's userdata, so that there is only one. A condition that
 * came from another state has none at first. */
static int condition_lock(lua_State *L) {
  struct braid_primitive *primitive = check(L, &braid_condition_class);
  if (lua_getiuservalue(L, 1, 1) == LUA_TUSERDATA) return 1;
  lobject_push(L, &primitive->lock->object);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
  return 1;
}

/* Shares the lock together with the condition. */
static int condition_share(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return lobject_share(L, -1) ? 0 : lua_error(L);
}

/* The wait has ended with the status `waited`. Takes the lock again before anything else, even when cancelled. */
static int condition_back(lua_State *L, struct sched *sched, struct braid_primitive *primitive,
                          enum braid_status waited);

static int condition_back_k(lua_State *L, int ignored, lua_KContext waited) {
  (void)ignored;
  struct sched *sched = sched_of(L);
  struct braid_primitive *primitive = check(L, &braid_condition_class);
  enum braid_status end = sched_end(sched);
  if (end == BRAID_OWNER_DIED) return condition_back(L, sched, primitive, (enum braid_status)waited);
  if (end != BRAID_OK) return sched_raise(L, sched, end);
  held_add(sched, primitive->lock);
  if (sched_stopped((enum braid_status)waited)) return sched_raise(L, sched, (enum braid_status)waited);
  return primitive_answer(L, (enum braid_status)waited, "condition:wait");
}

static int condition_back(lua_State *L, struct sched *sched, struct braid_primitive *primitive,
                          enum braid_status waited) {
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  enum braid_status status = braid_lock_acquire(primitive->lock, me(sched), &waiter->node);
  if (status == BRAID_WAIT) return sched_park(L, sched, BRAID_NEVER, condition_back_k, waited);
  sched_forget(sched);
  waiter->status = (uint8_t)status;
  return condition_back_k(L, LUA_OK, waited);
}

static int condition_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  return condition_back(L, sched, check(L, &braid_condition_class), end);
}

/* condition:wait(timeout?) -> true, or nil and an error. The caller holds the lock. The wait releases it, and takes it
 * again before it returns. Suspends. */
static int condition_wait(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct braid_primitive *primitive = check(L, &braid_condition_class);
  int64_t deadline = primitive_deadline(L);
  if (braid_lock_owner(primitive->lock) != me(sched)) return primitive_refuse_wait(L);
  struct braid_waiter *waiter = sched_begin(L, sched);
  braid_condition_wait(primitive, &waiter->node);
  release(L, sched, primitive->lock);
  return sched_park(L, sched, deadline, condition_k, 0);
}

static int notify(lua_State *L, int64_t most) {
  struct braid_primitive *primitive = check(L, &braid_condition_class);
  if (braid_lock_owner(primitive->lock) != me(sched_of(L))) return primitive_refuse_notice(L);
  braid_condition_notify(primitive, most);
  return 0;
}

/* condition:notify(n?) */
static int condition_notify(lua_State *L) {
  check(L, &braid_condition_class);
  return notify(L, primitive_most(L));
}

static int condition_notify_all(lua_State *L) { return notify(L, INT64_MAX); }

static const luaL_Reg condition_methods[] = {
    {"wait", condition_wait}, {"notify", condition_notify}, {"notify_all", condition_notify_all},
    {"lock", condition_lock}, {"__share", condition_share}, {NULL, NULL},
};

/* ---- barrier -------------------------------------------------------------------------------------------------- */

static int barrier_new(lua_State *L) {
  lua_Integer parties = larg_integer(L, 1, "n", 1);
  lobject_box(L, &braid_barrier_class);
  return box(L, braid_primitive_new(&braid_barrier_class, 0, parties));
}

static int barrier_answer(lua_State *L, struct sched *sched, enum braid_status status) {
  if (status != BRAID_OK) return lerror_return(L, status, "barrier:wait");
  lua_pushinteger(L, (lua_Integer)sched_waiter(sched)->node.bits);
  return 1;
}

static int barrier_k(lua_State *L, int ignored, lua_KContext context) {
  (void)ignored, (void)context;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (end != BRAID_OK && end != BRAID_BROKEN)
    braid_barrier_desert(check(L, &braid_barrier_class), &sched_waiter(sched)->node);
  return sched_stopped(end) ? sched_raise(L, sched, end) : barrier_answer(L, sched, end);
}

static int come(lua_State *L, int entered, lua_KContext context) {
  (void)context;
  struct sched *sched = sched_of(L);
  struct braid_primitive *primitive = check(L, &braid_barrier_class);
  int64_t deadline = primitive_deadline(L);
  sched_entered(sched, entered);
  struct braid_waiter *waiter = sched_begin(L, sched);
  enum braid_status status = braid_barrier_wait(primitive, &waiter->node);
  if (status == BRAID_WAIT) return sched_park(L, sched, deadline, barrier_k, 0);
  sched_forget(sched);
  return barrier_answer(L, sched, status);
}

/* barrier:wait(timeout?) -> the turn: 1 for the first, n for the last; or nil and an error. A wait that times out or is
 * cancelled breaks the barrier for the others. Suspends. */
static int barrier_wait(lua_State *L) { return sched_attempt(L, sched_of(L), come, 0); }

static int barrier_abort(lua_State *L) {
  braid_barrier_abort(check(L, &braid_barrier_class));
  return 0;
}

static int barrier_reset(lua_State *L) {
  braid_barrier_reset(check(L, &braid_barrier_class));
  return 0;
}

static const luaL_Reg barrier_methods[] = {
    {"wait", barrier_wait},
    {"abort", barrier_abort},
    {"reset", barrier_reset},
    {NULL, NULL},
};

/* --------------------------------------------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"lock_new", lock_new},           {"semaphore_new", semaphore_new}, {"event_new", event_new},
    {"condition_new", condition_new}, {"barrier_new", barrier_new},     {NULL, NULL},
};

void lprimitives_open(lua_State *L) {
  static const struct {
    const struct braid_class *class;
    const luaL_Reg *methods;
    const char *name;
  } classes[] = {
      {&braid_lock_class, lock_methods, "Lock"},          {&braid_semaphore_class, semaphore_methods, "Semaphore"},
      {&braid_event_class, event_methods, "Event"},       {&braid_condition_class, condition_methods, "Condition"},
      {&braid_barrier_class, barrier_methods, "Barrier"},
  };
  sched_register(L, functions);
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    lobject_class(L, classes[i].class, classes[i].methods);
    lua_setfield(L, -2, classes[i].name);
  }
}
