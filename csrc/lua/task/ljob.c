/* SPDX-License-Identifier: MIT
 * What a job's future is asked before the job is home is asked of the job. */
#include "lua/task/ljob.h"

static struct job_future *of(struct future *future) { return braid_container(future, struct job_future, future); }

bool job_cancel(struct future *future) {
  struct job_future *this = of(future);
  return this->job && this->pool->kind->cancel(this->pool, this->job);
}

/* What is known of it before it is home: it waits, it runs, or it was cancelled. */
static enum future_state state_before(struct braid_pool *pool, struct braid_job *job) {
  pthread_mutex_lock(&pool->mutex); /* under which the job flag stays */
  struct braid_job_flag *flag = atomic_load(&job->flag);
  bool cancelled = !job->home && job->outcome == BRAID_JOB_CANCELLED;
  bool begun = flag && braid_job_flag_begun(flag, job->ticket); /* in a worker process */
  pthread_mutex_unlock(&pool->mutex);
  if (cancelled) return FUTURE_CANCELLED;
  return atomic_load(&job->state) == BRAID_JOB_QUEUED && !begun ? FUTURE_PENDING : FUTURE_RUNNING;
}

enum future_state job_state(const struct future *future) {
  const struct job_future *this = (const struct job_future *)(const void *)future;
  return this->job ? state_before(this->pool, this->job) : (enum future_state)future->waiter.state;
}
