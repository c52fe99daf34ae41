/* SPDX-License-Identifier: MIT
 * Tasks: born, ended, waited for. The state's own thread; nothing blocks. */
#ifndef BRAID_LTASK_H
#define BRAID_LTASK_H

#include "lua/sched/lsched.h"

#define TASK_METATABLE "braid.task"

/* Makes a task of the function and its arguments, the top `count` + 1 values, which it pops; pushes the task. It is
 * ready, but has not run. `flags`: of task_flag; with TASK_CLOSER the scope may
 * have been cancelled. */
struct task *task_spawn(lua_State *L, struct sched *sched, struct scope *scope, int count, unsigned flags);

/* The future at `index`, a task's or a job's; or NULL. */
static inline struct future *future_test(lua_State *L, const struct sched *sched, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  const void *class = lua_topointer(L, -1);
  lua_pop(L, 1);
  return class == sched->task_class || class == sched->named_task_class ? lua_touserdata(L, index) : NULL;
}

/* Joins those who wait for the future's end; false when memory is out. It has not ended. */
bool future_join(struct future *future, struct braid_wait_node *node);

/* A task that was cancelled before it began has ended, though its scope learns it a little later. */
static inline enum future_state future_state(const struct future *future) {
  /* Read by itself: in one piece with the flags, as compilers like to, it would be read with what claimers write. */
  uint8_t state = *(const volatile uint8_t *)&future->waiter.state;
  if (state == FUTURE_PENDING && (future->waiter.flags & TASK_CANCELLED)) return FUTURE_CANCELLED;
  return (enum future_state)state;
}
static inline bool future_ended(const struct future *future) { return future_state(future) >= FUTURE_DONE; }

/* What has ended at the bottom of a coroutine, as lua_pcallk says by `status`, has left scopes open: ends them, and
 * goes on with `k`. Their failure, or one with theirs, is an error then. */
int task_end_scopes(lua_State *L, int status, int handler, lua_KContext context, lua_KFunction k);

/* A task's coroutine has ended: what its body returned, or the error, is on the top of it. Does not raise. */
void task_finish(struct sched *sched, struct task *task, int status);

/* It will never end: who waits for it will not be woken. At the end of the state. */
void future_forsake(struct future *future);

/* The function on the top of the stack is called with the future when it ends; pops it. */
void future_watch(lua_State *L, struct future *future);

/* The future at the top of the stack has ended: wakes who waits for it, calls who watches it. Does not raise. */
void future_settle(lua_State *L, struct sched *sched, struct future *future);

void ltask_open(lua_State *L);

#endif
