/* SPDX-License-Identifier: MIT
 * What a job's future is asked before the job is home is asked of the job. */
#include "lua/task/ljob.h"

static struct job_future *of(struct future *future) { return braid_container(future, struct job_future, future); }

bool job_cancel(struct future *future) {
  struct job_future *this = of(future);
  return this->job && this->pool->kind->cancel(this->pool, this->job);
}

/* Before it is home. Nothing is locked for a job that has not ended: each look at the result asks this. */
static bool was_cancelled(struct braid_pool *pool, struct braid_job *job) {
  if (atomic_load(&job->state) != BRAID_JOB_ENDED) return false;
  pthread_mutex_lock(&pool->mutex);
  bool cancelled = !job->home && job->outcome == BRAID_JOB_CANCELLED;
  pthread_mutex_unlock(&pool->mutex);
  return cancelled;
}

/* Whether a worker process has begun it. */
static bool has_begun(struct braid_pool *pool, struct braid_job *job) {
  pthread_mutex_lock(&pool->mutex); /* under which the job flag stays */
  struct braid_job_flag *flag = atomic_load(&job->flag);
  bool begun = flag && braid_job_flag_begun(flag, job->ticket);
  pthread_mutex_unlock(&pool->mutex);
  return begun;
}

/* What is known of it before it is home: it waits, it runs, or it was cancelled. */
static enum future_state state_before(struct braid_pool *pool, struct braid_job *job) {
  if (was_cancelled(pool, job)) return FUTURE_CANCELLED;
  return atomic_load(&job->state) == BRAID_JOB_QUEUED && !has_begun(pool, job) ? FUTURE_PENDING : FUTURE_RUNNING;
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
  return this->job ? was_cancelled(this->pool, this->job) : future->waiter.state >= FUTURE_DONE;
}
