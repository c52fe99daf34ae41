/* SPDX-License-Identifier: MIT
 * What a job's future is asked before the job is home is asked of the job. */
#include "ljob.h"

static struct job_future *of(struct future *future) { return braid_container(future, struct job_future, future); }

bool job_cancel(struct future *future) {
  struct job_future *this = of(future);
  return this->job && braid_thread_pool_cancel(this->pool, this->job);
}

enum future_state job_state(const struct future *future) {
  const struct job_future *this = (const struct job_future *)(const void *)future;
  if (!this->job) return (enum future_state)future->waiter.state;
  return atomic_load(&this->job->state) == BRAID_JOB_QUEUED ? FUTURE_PENDING : FUTURE_RUNNING;
}
