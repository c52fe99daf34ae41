/* SPDX-License-Identifier: MIT
 * A step of a task. This is the only place where a task is resumed. The state's own thread. */
#ifndef BRAID_LSTEP_H
#define BRAID_LSTEP_H

#include "lua/sched/lseal.h"
#include "lua/sched/lsched.h"
#include "lua/sched/ltrace.h"

/* Before the first step. Returns false if the task was cancelled before: then it has ended. Does not raise. */
bool task_begin(struct sched *sched, struct task *task);

/* After the last step: the function has returned or failed, or it has called coroutine.yield. `status` is that of
 * lua_resume. Does not raise. */
void task_end(struct sched *sched, struct task *task, int status);

/* Resumes a ready task here and now, and finishes it if its code has ended. Does not raise. It is inline because it is
 * the inner loop of the turn. */
BRAID_INLINE void task_step(struct sched *sched, struct task *task, lua_State *from) {
  struct sched_frame before = {sched->current, sched->running};
  lua_State *co = task->co;
  int results;
  if (task->waiter.state == FUTURE_PENDING && !task_begin(sched, task)) return;
  seal_break(&sched->seal, co);
  bool traced = braid_trace_is_on();
  if (traced) braid_trace_record(BRAID_TRACE_STEP, task, NULL);
  task->waiter.flags &= ~(uint32_t)TASK_PARKED;
  sched->current = task;
  sched->running = co;
  lua_State *outer = sched_compute(sched, co);
  int status = lua_resume(co, from, 0, &results); /* the arguments of a first step are already in place */
  sched_compute(sched, outer);                    /* at once: the time until here belongs to this task */
  sched_return(sched, before);
  if (traced) braid_trace_record(BRAID_TRACE_PARK, task, NULL);
  if (status == LUA_YIELD && (task->waiter.flags & TASK_PARKED))
    seal_close(&sched->seal, co);
  else
    task_end(sched, task, status);
}

#endif
