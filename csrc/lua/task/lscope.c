/* SPDX-License-Identifier: MIT
 * Scopes for Lua: enter, cancel, wait, leave. lua/braid/tasks/scope.lua decides what a scope does with its failures. */
#include "lua/task/lscope.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/task/lfailure.h"
#include "lua/base/lopen.h"
#include "lua/sched/lreason.h"
#include "lua/base/lregistry.h"
#include "lua/base/lposition.h"
#include "lua/task/ltask.h"
#include "lua/task/lwrap.h"

#define SCOPE_METATABLE "braid.scope"

static struct scope *check(lua_State *L) { return larg_object(L, 1, SCOPE_METATABLE); }

static void expire(struct braid_alarm *alarm) {
  struct scope *scope = braid_container(alarm, struct scope, alarm);
  scope->flags |= SCOPE_EXPIRED;
  tree_cancel_scope(scope);
}

/* Registry key, by address: the table of entered scopes. It keeps them alive, because tasks point to them. A scope in a
 * coroutine that never finishes stays there. */
static const char ENTERED;

/* User values of a scope: the coroutine that it keeps alive, and the place where it was entered. */
enum { COROUTINE = 1, PLACE };

struct scope *scope_push(lua_State *L, struct sched *sched, unsigned flags, int64_t deadline) {
  struct scope *scope = lua_newuserdatauv(L, sizeof *scope, PLACE);
  luaL_setmetatable(L, SCOPE_METATABLE);
  if (L != sched->current->co) { /* a generator: its coroutine must live as long as the scope */
    lua_pushthread(L);
    lua_setiuservalue(L, -2, COROUTINE);
  }
  lua_pushvalue(L, -1);
  int slot = lregistry_keep(L, &ENTERED);
  tree_enter(&sched->tree, scope, sched->current, flags);
  scope->slot = slot;
  if (deadline == LARG_ONCE) {
    expire(&scope->alarm);
    return scope;
  }
  scope->alarm.fire = expire;
  if (!braid_alarm_start(&sched->loop, &scope->alarm, deadline)) {
    tree_leave(scope);
    lregistry_drop(L, &ENTERED, slot);
    lerror_memory(L);
  }
  return scope;
}

void scope_leave(lua_State *L, struct sched *sched, struct scope *scope) {
  tree_leave(scope);
  stop_unshield(sched);
  lregistry_drop(L, &ENTERED, scope->slot);
}

/* scope_enter(kind, timeout?, by_hand?) -> scope. Kinds: "nursery", "gather" and "run" (nurseries, too), "limit" (only
 * a deadline), "shield". A scope that is entered by hand keeps its place, because its user may forget to close it. */
static int lua_scope_enter(lua_State *L) {
  static const char *const kinds[] = {"nursery", "gather", "run", "limit", "shield", NULL};
  static const unsigned flags[] = {SCOPE_NURSERY, SCOPE_NURSERY | SCOPE_GATHER, SCOPE_NURSERY | SCOPE_RUN, 0,
                                   SCOPE_SHIELD};
  struct sched *sched = sched_of(L);
  int kind = luaL_checkoption(L, 1, NULL, kinds);
  int64_t deadline = larg_timeout(L, 2);
  sched_check(L, sched);
  bool by_hand = lua_toboolean(L, 3);
  if (by_hand) position_where(L, 1);
  scope_push(L, sched, flags[kind], deadline);
  if (by_hand) {
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, PLACE);
  }
  return 1;
}

/* ---- a scope that is entered again and again ------------------------------------------------------------------ */

void scope_new(lua_State *L) {
  struct scope *scope = lua_newuserdatauv(L, sizeof *scope, PLACE);
  *scope = (struct scope){.flags = SCOPE_ENDED};
  luaL_setmetatable(L, SCOPE_METATABLE);
  lua_pushvalue(L, -1);
  scope->slot = lregistry_keep(L, &ENTERED);
}

void scope_enter(struct sched *sched, struct scope *scope, unsigned flags) {
  int slot = scope->slot;
  tree_enter(&sched->tree, scope, sched->current, flags);
  scope->slot = slot;
}

void scope_drop(lua_State *L, const struct scope *scope) { lregistry_drop(L, &ENTERED, scope->slot); }

bool scope_is_untouched(const struct scope *scope, const struct task *task) {
  enum { NOT_TOUCHING = TASK_PARKED | TASK_MASKED };
  unsigned flags = task->waiter.flags & (TASK_SINCE - 1) & ~(unsigned)NOT_TOUCHING;
  return flags == 0 && task->scope == scope && !(scope->flags & ~(unsigned)(SCOPE_NURSERY | SCOPE_RUN)) &&
         !scope->doom && braid_list_empty(&scope->children);
}

/* ---- scopes, for Lua ------------------------------------------------------------------------------------------ */

/* scope:spawn(fn, ...) -> task, linked: its failure is the scope's. */
static int scope_spawn(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct scope *scope = check(L);
  larg_function(L, 2, "fn");
  struct task *task = task_spawn(L, sched, scope, lua_gettop(L) - 2, TASK_LINKED);
  braid_wake_list_push(&sched->loop.ready, &task->waiter);
  return 1;
}

/* scope:cancel(reason?) */
static int scope_cancel(lua_State *L) {
  struct scope *scope = check(L);
  lua_settop(L, 2);
  if (!(scope->flags & (SCOPE_ENDED | SCOPE_CANCELLED))) reason_set(L, scope);
  tree_cancel_scope(scope);
  return 0;
}

/* Cancels all children that are tasks. Returns false if there were none. */
static bool cancel_children(struct tree *tree, struct scope *scope) {
  bool any = false;
  for (struct braid_list *at = scope->children.next; at != &scope->children; at = at->next) {
    struct task *child = braid_container(at, struct task, sibling);
    if (tree_is_guest(child)) continue;
    tree_cancel_task(tree, child, 0);
    any = true;
  }
  return any;
}

/* Waits until no child is left. If only daemons are left, cancels them; then closes the generators that nobody can
 * resume any more. */
static int join_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct sched *sched = sched_of(L);
  struct scope *scope = check(L);
  enum braid_status end = sched_end(sched);
  if (end == BRAID_DEADLOCK || end == BRAID_INTERRUPTED) return sched_raise(L, sched, end);
  if (scope->alive == 0 && !cancel_children(&sched->tree, scope)) wrap_close_guests(L, scope);
  if (braid_list_empty(&scope->children)) {
    bool pass = sched_may_begin(L, sched) && sched_enter(L, sched); /* many short scopes must not keep others waiting */
    return pass ? sched_pass(L, sched, NULL, 0) : 0;
  }
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  braid_wait_node_join(&waiter->node, &scope->ended);
  return sched_park(L, sched, BRAID_NEVER, join_k, 0);
}

/* Whether the running code may end the scope: its task has entered it, and not outside of the generator that runs now.
 */
static bool is_mine(const struct sched *sched, const struct scope *scope) {
  const struct scope *at = sched->current->scope;
  if (scope->owner != sched->current) return false;
  while (at && at != scope && !(at->flags & SCOPE_FRAME)) at = at->outer;
  return at == scope;
}

/* scope:_mine() -> true if the scope is the innermost; false if scopes inside it were not closed. Raises if the running
 * code may not end it. */
static int scope_mine(lua_State *L) {
  struct sched *sched = sched_of(L);
  const struct scope *scope = check(L);
  if (!(scope->flags & SCOPE_ENDED) && !is_mine(sched, scope))
    return lerror_misuse(L, "a scope is ended by the task that entered it, and not from inside a generator");
  lua_pushboolean(L, sched->current->scope == scope || (scope->flags & SCOPE_ENDED));
  return 1;
}

/* Pushes an entered scope. */
static void show(lua_State *L, const struct scope *scope) {
  scope->tree->shown++;
  lregistry_kept(L, &ENTERED, scope->slot);
}

static void push_innermost(lua_State *L, const struct task *task) {
  const struct scope *scope = task->scope;
  if (scope == task->nursery || !scope->outer || (scope->flags & SCOPE_FRAME))
    lua_pushnil(L);
  else
    show(L, scope);
}

/* innermost() -> the innermost scope that the running code has entered (in a generator: inside it), or nil */
static int innermost(lua_State *L) {
  push_innermost(L, sched_of(L)->current);
  return 1;
}

/* left_open() -> the innermost scope that the script has not closed, or nil */
static int left_open(lua_State *L) {
  push_innermost(L, &sched_of(L)->tree.script);
  return 1;
}

/* scope:_opened() -> "FILE:LINE: " where it was entered by hand, or nil; whether children are left that keep it open */
static int scope_opened(lua_State *L) {
  const struct scope *scope = check(L);
  lua_getiuservalue(L, 1, PLACE);
  lua_pushboolean(L, scope->alive > 0);
  return 2;
}

/* scope:_join(): returns when all children have ended, even if the caller is cancelled. Suspends. */
static int scope_join(lua_State *L) {
  struct sched *sched = sched_of(L);
  if (!braid_list_empty(&check(L)->children)) check(L)->flags |= SCOPE_WAITED;
  sched_waiter(sched)->status = BRAID_OK;
  lua_settop(L, 1);
  return join_k(L, LUA_OK, 0);
}

/* scope:_leave() -> the list of its failures (see failure_take) or nil; whether its end had to wait while it was
 * cancelled. */
static int lua_scope_leave(lua_State *L) {
  struct scope *scope = check(L);
  bool cut = (scope->flags & SCOPE_WAITED) && tree_canceller(scope->tree, scope->owner);
  bool cancelled = scope->flags & SCOPE_CANCELLED;
  tree_leave(scope);
  stop_unshield(sched_of(L));
  if (cancelled) {
    lua_pushnil(L);
    reason_set(L, scope);
  }
  lregistry_drop(L, &ENTERED, scope->slot);
  failure_take(L, scope);
  lua_pushboolean(L, cut);
  return 2;
}

/* scope:_failures() -> the list of the failures that it has now (see failure_take) or nil. It has them no more. */
static int scope_failures(lua_State *L) {
  failure_take(L, check(L));
  return 1;
}

static int scope_expired(lua_State *L) {
  lua_pushboolean(L, (check(L)->flags & SCOPE_EXPIRED) != 0);
  return 1;
}

static int scope_ended(lua_State *L) {
  lua_pushboolean(L, (check(L)->flags & SCOPE_ENDED) != 0);
  return 1;
}

static int scope_is_cancelled(lua_State *L) {
  lua_pushboolean(L, (check(L)->flags & SCOPE_CANCELLED) != 0);
  return 1;
}

/* scope:_failing() -> whether it has failures now that it would have to raise */
static int scope_failing(lua_State *L) {
  lua_pushboolean(L, failure_counts(L, check(L)));
  return 1;
}

/* run_scope() -> the nearest run around the caller, or nil */
static int lua_run_scope(lua_State *L) {
  const struct scope *run = tree_run(sched_of(L)->current);
  if (run)
    show(L, run);
  else
    lua_pushnil(L);
  return 1;
}

/* cancelled() -> whether a wait here and now would be cancelled */
static int lua_cancelled(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_pushboolean(L, tree_canceller(&sched->tree, sched->current) != NULL);
  return 1;
}

/* look(): raises if a wait here and now would be cancelled. For calls that may find that there is nothing to wait for.
 */
static int lua_look(lua_State *L) {
  struct sched *sched = sched_of(L);
  return tree_canceller(&sched->tree, sched->current) ? sched_raise(L, sched, BRAID_CANCELLED) : 0;
}

/* set_main(task or nil) -> whether SIGINT came for the previous main task. SIGINT cancels the main task from now on. */
static int set_main(lua_State *L) {
  const struct task *before = sched_of(L)->main;
  lua_pushboolean(L, before && (before->waiter.flags & TASK_INTERRUPTED));
  sched_of(L)->main = lua_isnoneornil(L, 1) ? NULL : larg_object(L, 1, TASK_METATABLE);
  return 1;
}

static const luaL_Reg methods[] = {
    {"spawn", scope_spawn},
    {"cancel", scope_cancel},
    {"_failing", scope_failing},
    {"_failures", scope_failures},
    {"_mine", scope_mine},
    {"_opened", scope_opened},
    {"_join", scope_join},
    {"_leave", lua_scope_leave},
    {"expired", scope_expired},
    {"ended", scope_ended},
    {"cancelled", scope_is_cancelled},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"scope_enter", lua_scope_enter}, {"run_scope", lua_run_scope}, {"innermost", innermost}, {"left_open", left_open},
    {"cancelled", lua_cancelled},     {"look", lua_look},           {"set_main", set_main},   {NULL, NULL},
};

void lscope_open(lua_State *L) {
  sched_register(L, functions);
  sched_class(L, SCOPE_METATABLE, methods);
  lua_setfield(L, -2, "Scope");
}
