/* SPDX-License-Identifier: MIT
 * Tasks: born, ended, waited for. The state's own thread; nothing blocks. */
#ifndef BRAID_LTASK_H
#define BRAID_LTASK_H

#include "lsched.h"

#define TASK_METATABLE "braid.task"

/* Makes a task of the function and its arguments, the top `count` + 1 values, which it pops; pushes the task. It is
 * ready, but has not run. `flags`: TASK_LINKED or 0. */
struct task *task_spawn(lua_State *L, struct sched *sched, struct scope *scope, int count, unsigned flags);

/* The task at `index`, or NULL. */
static inline struct task *task_test(lua_State *L, const struct sched *sched, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  bool is_task = lua_topointer(L, -1) == sched->task_class;
  lua_pop(L, 1);
  return is_task ? lua_touserdata(L, index) : NULL;
}

/* Hooks on to the task's end; false when memory is out. It has not ended. */
bool task_join(struct task *task, struct braid_hook *hook);

/* A task that was cancelled before it began has ended, though its scope learns it a little later. */
static inline enum future_state task_state(const struct task *task) {
  if (task->waiter.state == FUTURE_PENDING && (task->waiter.flags & TASK_CANCELLED)) return FUTURE_CANCELLED;
  return (enum future_state)task->waiter.state;
}
static inline bool task_ended(const struct task *task) { return task_state(task) >= FUTURE_DONE; }

/* The function on the top of the stack is called with the task when it ends; pops it. */
void task_watch(lua_State *L, struct task *task);

/* Pushes the list of the failed tasks of a scope that nobody has taken yet, or nil; it is taken with this. */
void task_take_failures(lua_State *L, const struct scope *scope);

void ltask_open(lua_State *L);

#endif
