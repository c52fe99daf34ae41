/* SPDX-License-Identifier: MIT
 * What the files of a process pool share: its fields, how its jobs end without a worker, and how the pool itself breaks
 * and ends. worker_life.c cares for the workers, dispatch.c decides which worker gets which job, process_pool.c has the
 * rest.
 *
 * Reference-counted: the submitter's userdata holds a reference, and the workers together hold one. The pool's mutex
 * protects `dispatch`, `closed`, `over`, `stopping`, `killing` and `next_tick`; all other fields are for the I/O
 * thread, or never change. Nothing blocks, except to enter the mutex. */
#ifndef BRAID_PROCESS_POOL_BASE_H
#define BRAID_PROCESS_POOL_BASE_H

#include "core/process/dispatch.h"

struct braid_process_pool {
  struct braid_pool pool;
  struct braid_io_thread *io_thread;
  struct braid_process_plan plan;
  struct braid_errand errand; /* runs `look` on the I/O thread */
  struct braid_alarm alarm;
  bool started, proven; /* proven: a worker was ready once */

  struct braid_dispatch dispatch;
  bool closed, over; /* over: all workers have ended, and the pool has left the I/O thread */
  bool stopping, killing;
  int64_t next_tick, last_tick; /* 0: no tick is set */
  int failed_starts;
  struct braid_worker_handle workers[];
};

static inline void braid_process_pool_lock(struct braid_process_pool *pool) { pthread_mutex_lock(&pool->pool.mutex); }
static inline void braid_process_pool_unlock(struct braid_process_pool *pool) {
  pthread_mutex_unlock(&pool->pool.mutex);
}

/* Has the I/O thread look after the pool soon. Under the mutex; any thread. */
static inline void braid_process_pool_ask(struct braid_process_pool *pool) {
  if (!pool->over) braid_errand_send(&pool->errand);
}

/* Ends a job with this outcome. Under the mutex; any thread. */
void braid_process_pool_end_job(struct braid_process_pool *pool, struct braid_job *job, enum braid_job_outcome outcome);

/* Ends all jobs that no worker has begun: with the reason why the pool is broken, or cancelled. Under the mutex; any
 * thread. */
void braid_process_pool_end_queued(struct braid_process_pool *pool, bool broken);

/* Breaks the pool, with the message that says why, which it takes over, or with the status of a worker that has died,
 * or with an error number. The I/O thread. */
void braid_process_pool_break(struct braid_process_pool *pool, struct braid_message *failure, int death, int error);

/* A worker has ended and will not be replaced. With the last one the pool ends. The I/O thread. */
void braid_process_pool_lose(struct braid_process_pool *pool);

#endif
