/* SPDX-License-Identifier: MIT
 * Until a job is home, questions about its future are answered from the job. */
#include "lua/task/ljob.h"

static struct job_future *of(struct future *future) { return braid_container(future, struct job_future, future); }

bool job_cancel(struct future *future) {
  struct job_future *this = of(future);
  return this->job && this->pool->kind->cancel(this->pool, this->job);
}

/* The state before the job is home: pending, running or cancelled. */
static enum future_state state_before(struct braid_pool *pool, struct braid_job *job) {
  if (braid_pool_has_cancelled(job)) return FUTURE_CANCELLED;
  return atomic_load(&job->state) == BRAID_JOB_QUEUED && !braid_pool_has_begun(pool, job) ? FUTURE_PENDING
                                                                                          : FUTURE_RUNNING;
}

static const struct job_future *at(const struct future *future) {
  return (const struct job_future *)(const void *)future;
}

enum future_state job_state(const struct future *future) {
  const struct job_future *this = at(future);
  return this->job ? state_before(this->pool, this->job) : (enum future_state)future->waiter.state;
}

bool job_has_ended(const struct future *future) {
  const struct job_future *this = at(future);
  return this->job ? braid_pool_has_cancelled(this->job) : future->waiter.state >= FUTURE_DONE;
}
