/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/process/process_pool_base.h"

/* ---- end of jobs: under the mutex ----------------------------------------------------------------------------- */

void braid_process_pool_end_job(struct braid_process_pool *pool, struct braid_job *job,
                                enum braid_job_outcome outcome) {
  job->outcome = (uint8_t)outcome;
  atomic_store(&job->state, BRAID_JOB_ENDED);
  braid_pool_bring_home(&pool->pool, job);
}

/* Ends a job with the reason why the pool is broken. */
static void end_broken(struct braid_process_pool *pool, struct braid_job *job) {
  struct braid_message *failure = pool->pool.failure;
  if (failure) braid_message_ref(failure);
  job->reply = failure;
  job->death = pool->pool.death;
  job->pid = 0; /* no process runs it any more */
  braid_process_pool_end_job(pool, job, failure ? BRAID_JOB_FAILED : BRAID_JOB_DIED);
}

void braid_process_pool_end_queued(struct braid_process_pool *pool, bool broken) {
  struct braid_job *job;
  braid_dispatch_recall_all(&pool->dispatch);
  while ((job = braid_dispatch_pop(&pool->dispatch))) {
    if (broken)
      end_broken(pool, job);
    else
      braid_process_pool_end_job(pool, job, BRAID_JOB_CANCELLED);
  }
}

/* ---- a broken pool, and the end of a pool: the I/O thread ----------------------------------------------------- */

void braid_process_pool_break(struct braid_process_pool *pool, struct braid_message *failure, int death, int error) {
  struct braid_pool *common = &pool->pool;
  braid_process_pool_lock(pool);
  if (common->failure || common->dead) {
    if (failure) braid_message_unref(failure);
  } else {
    common->failure = failure;
    common->dead = !failure;
    common->death = death;
    common->error = error;
  }
  pool->closed = true;
  braid_process_pool_end_queued(pool, true);
  braid_process_pool_ask(pool);
  braid_process_pool_unlock(pool);
}

/* Runs when the last worker has ended. */
static void end_pool(struct braid_process_pool *pool) {
  braid_process_pool_lock(pool);
  pool->over = true;
  braid_process_pool_unlock(pool);
  braid_alarm_stop(&pool->io_thread->loop, &pool->alarm);
  braid_errand_recall(&pool->errand);
  braid_io_thread_leave(pool->io_thread);
}

void braid_process_pool_lose(struct braid_process_pool *pool) {
  bool last = pool->pool.alive == 1; /* only this thread changes it */
  if (last) end_pool(pool);
  braid_pool_lose_worker(&pool->pool);
  if (last) braid_object_unref(&pool->pool.object);
}
