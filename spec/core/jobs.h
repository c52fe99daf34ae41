/* SPDX-License-Identifier: MIT
 * For C tests of pools: a submitter, which is the test's thread, and jobs whose bytes say what is to be done. */
#ifndef BRAID_JOBS_H
#define BRAID_JOBS_H

#include "core/inspect/poke.h"
#include "core/work/thread_pool.h"
#include "actor.h"

struct task {
  struct braid_waiter waiter;
  struct braid_job *job; /* with a reference */
};

static inline void task_make(struct task *task, struct braid_loop *loop, const char *order) {
  braid_waiter_init(&task->waiter, loop, BRAID_WAITER_JOB);
  braid_waiter_arm(&task->waiter);
  braid_waiter_claim(&task->waiter, BRAID_OK); /* its end is sure to come */
  task->job = braid_job_new(braid_message_new(order, strlen(order) + 1, NULL, 0), &task->waiter);
}

static inline enum braid_status task_submit(struct task *task, struct braid_loop *loop, struct braid_pool *pool,
                                            const char *order) {
  task_make(task, loop, order);
  enum braid_status status = pool->kind->submit(pool, task->job);
  if (status != BRAID_OK) braid_job_unref(task->job); /* the pool's */
  return status;
}

/* Until so many jobs have come home. */
static inline void tasks_await(struct braid_loop *loop, int count) {
  while (count > 0) {
    if (braid_loop_next(loop))
      count--;
    else
      braid_loop_poll(loop, BRAID_NEVER);
  }
}

static inline enum braid_job_outcome task_outcome(const struct task *task) {
  check(atomic_load(&task->job->state) == BRAID_JOB_ENDED);
  return (enum braid_job_outcome)task->job->outcome;
}

static inline void task_forget(struct task *task) { braid_job_unref(task->job); }

/* What a worker does with its orders. */
static inline void work_on(struct braid_worker *worker, struct braid_job *job) {
  const char *order = job->call->bytes;
  enum braid_job_outcome outcome = BRAID_JOB_DONE;
  if (strcmp(order, "fail") == 0) outcome = BRAID_JOB_FAILED;
  if (strcmp(order, "until stopped") == 0) {
    while (!atomic_load(&job->stop) && !atomic_load(&worker->pool->stopping)) usleep(200);
    outcome = BRAID_JOB_CANCELLED;
  }
  if (strcmp(order, "die") == 0) _exit(3);
  if (strcmp(order, "hang") == 0)
    for (;;) pause();
  struct braid_message *reply =
      outcome == BRAID_JOB_CANCELLED ? NULL : braid_message_new(order, strlen(order) + 1, NULL, 0);
  braid_worker_finish(worker, job, outcome, (struct braid_reply){.message = reply}, 1000);
}

/* The body of a worker: jobs one after the other. */
static inline void work(struct braid_worker *worker) {
  struct actor actor;
  actor_open(&actor, worker->index + 1);
  braid_worker_attach(worker, &actor.loop);
  for (;;) {
    struct braid_item item;
    struct braid_wait_node *node = actor_arm(&actor);
    enum braid_status status = braid_queue_get(worker->pool->jobs, &item, node);
    bool waits = status == BRAID_WAIT;
    status = actor_await(&actor, status, BRAID_NEVER);
    if (waits && status == BRAID_OK) item = braid_wait_node_item(node);
    if (status != BRAID_OK) break;
    struct braid_job *job = braid_worker_begin(worker, item);
    if (job) work_on(worker, job);
  }
  braid_worker_attach(worker, NULL);
  actor_close(&actor);
}

#endif
