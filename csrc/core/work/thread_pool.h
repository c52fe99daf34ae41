/* SPDX-License-Identifier: MIT
 * A pool of threads that take jobs from one queue. The pool's `body` decides what a worker does with a job; this file
 * hands jobs out and delivers replies. */
#ifndef BRAID_THREAD_POOL_H
#define BRAID_THREAD_POOL_H

#include "core/work/pool.h"
#include "core/sync/queue.h"

struct braid_thread_pool;

/* What a worker counts. Only its own thread writes; others read without order. */
struct braid_worker_counts {
  atomic_uint running; /* jobs that it has begun and that have not ended */
  atomic_ullong done, failed, cancelled, bytes_in, bytes_out, busy;
};

struct braid_worker {
  struct braid_thread_pool *pool;
  pthread_t thread;
  pthread_mutex_t mutex;
  struct braid_loop *loop; /* NULL: it has none; under mutex */
  unsigned index;
  struct braid_worker_counts counts;
  uint64_t last; /* the serial number of the last job that waited at its last try to be made; its thread only */
  int64_t pause; /* ns until the next try to make it; 0: it is made; its thread only */
};

struct braid_thread_pool {
  struct braid_pool pool;
  struct braid_queue *jobs;
  void (*body)(struct braid_worker *worker);
  void *settings; /* for the body; freed with free_settings */
  void (*free_settings)(void *settings);
  unsigned count;       /* under the pool's mutex, as the next three */
  unsigned serving;     /* workers that may still take jobs */
  unsigned unmade;      /* of these: workers that cannot be made now */
  uint64_t given_up;    /* jobs that ended because no worker could be made */
  atomic_bool stopping; /* all running jobs are asked to end */
  struct braid_worker workers[];
};

/* Starts the threads. Takes over the settings when it succeeds. NULL and errno when the system refuses. Any thread;
 * blocks while the threads start, and on failure until those that started have ended. */
struct braid_thread_pool *braid_thread_pool_new(unsigned count, void (*body)(struct braid_worker *), void *settings,
                                                void (*free_settings)(void *));

/* Makes a pool without threads. The caller must run its one worker with braid_thread_pool_run. NULL when memory is out.
 * Any thread; does not block. */
struct braid_thread_pool *braid_thread_pool_lone(void (*body)(struct braid_worker *), void *settings,
                                                 void (*free_settings)(void *));

/* Runs the one worker on the calling thread. Blocks until the worker ends. */
void braid_thread_pool_run(struct braid_thread_pool *pool);

/* ---- for workers, on their own threads; nothing blocks unless said otherwise ---- */

/* Sets the worker's loop; NULL: it has none any more. While it has one, its jobs can be asked to stop. */
void braid_worker_attach(struct braid_worker *worker, struct braid_loop *loop);

/* Begins the job that is in an item of the queue. NULL: the job was cancelled in the meantime; take another. */
struct braid_job *braid_worker_begin(struct braid_worker *worker, struct braid_item item);

/* Ends the job with a reply, which the job takes over, and tells the submitter. Cannot fail. */
void braid_worker_finish(struct braid_worker *worker, struct braid_job *job, enum braid_job_outcome outcome,
                         struct braid_reply reply, int64_t busy);

/* The worker could not begin. Takes over the message that says why (NULL: memory is out). All queued jobs fail with it,
 * and the pool refuses more. */
void braid_worker_fail(struct braid_worker *worker, struct braid_message *failure);

/* There is no memory or no descriptor to make what the worker needs, for example its Lua state. `error` is the error
 * number. If no other worker can run jobs, queued jobs fail with it. Blocks until the next try: true; or until no more
 * jobs will come: false. */
bool braid_worker_is_short(struct braid_worker *worker, int error);

/* The worker has all it needs. */
void braid_worker_is_made(struct braid_worker *worker);

#endif
