/* SPDX-License-Identifier: MIT
 * The life of tasks: spawn, end, and the wait for the end. The state's own thread; nothing blocks. */
#ifndef BRAID_LTASK_H
#define BRAID_LTASK_H

#include "lua/sched/lsched.h"

#define TASK_METATABLE "braid.task"

/* Pops a function and its `count` arguments, makes a task of them and pushes it. The task has not run, and is not yet
 * in the ready list. `flags`: of task_flag. With TASK_CLOSER the scope may already be cancelled. Raises. */
struct task *task_spawn(lua_State *L, struct sched *sched, struct scope *scope, int count, unsigned flags);

/* The future at `index`, of a task or of a job; NULL for any other value. */
static inline struct future *future_test(lua_State *L, const struct sched *sched, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  const void *class = lua_topointer(L, -1);
  lua_pop(L, 1);
  return class == sched->task_class || class == sched->named_task_class ? lua_touserdata(L, index) : NULL;
}

/* Joins the waiters for the future's end; false when memory is out. The future must not have ended. */
bool future_join(struct future *future, struct braid_wait_node *node);

/* A task that was cancelled before it began counts as ended, although its scope learns it a little later. */
static inline enum future_state future_state(const struct future *future) {
  /* A separate load: together with the flags the compiler would also read bytes that claimers write. */
  uint8_t state = *(const volatile uint8_t *)&future->waiter.state;
  if (state == FUTURE_PENDING && (future->waiter.flags & TASK_CANCELLED)) return FUTURE_CANCELLED;
  return (enum future_state)state;
}
static inline bool future_ended(const struct future *future) { return future_state(future) >= FUTURE_DONE; }

/* The function at the bottom of a coroutine has ended with this lua_pcallk `status`, and has left scopes open. Ends the
 * scopes, then calls `k`. If that fails, the failure is the function's error. */
int task_end_scopes(lua_State *L, int status, int handler, lua_KContext context, lua_KFunction k);

/* A task's coroutine has ended; its results or its error are on the top of the coroutine's stack. Does not raise. */
void task_finish(struct sched *sched, struct task *task, int status);

/* The future never ends: its waiters are not woken. Used at the end of the state. */
void future_forsake(struct future *future);

/* Pops a function from the top of the stack; it is called with the future when the future ends. */
void future_watch(lua_State *L, struct future *future);

/* The future on the top of the stack has ended: wakes its waiters and calls its callbacks. Does not raise. */
void future_settle(lua_State *L, struct sched *sched, struct future *future);

void ltask_open(lua_State *L);

#endif
