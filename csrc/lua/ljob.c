/* SPDX-License-Identifier: MIT
 * What a job's future is asked before the job is home is asked of the job. */
#include "ljob.h"

static struct job_future *of(struct future *future) { return braid_container(future, struct job_future, future); }

bool job_cancel(struct future *future) {
  struct job_future *this = of(future);
  return this->job && this->pool->kind->cancel(this->pool, this->job);
}

/* A worker process has it, and has begun it. */
static bool has_begun(struct braid_pool *pool, struct braid_job *job) {
  pthread_mutex_lock(&pool->mutex); /* under which the permit stays */
  struct braid_permit *permit = atomic_load(&job->permit);
  bool begun = permit && braid_permit_begun(permit, job->ticket);
  pthread_mutex_unlock(&pool->mutex);
  return begun;
}

enum future_state job_state(const struct future *future) {
  const struct job_future *this = (const struct job_future *)(const void *)future;
  if (!this->job) return (enum future_state)future->waiter.state;
  bool queued = atomic_load(&this->job->state) == BRAID_JOB_QUEUED;
  return queued && !has_begun(this->pool, this->job) ? FUTURE_PENDING : FUTURE_RUNNING;
}
