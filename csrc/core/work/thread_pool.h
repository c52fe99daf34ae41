/* SPDX-License-Identifier: MIT
 * Threads that take jobs from one queue. What a worker does with a job is its body's; the core only hands it out and
 * brings the reply home. */
#ifndef BRAID_THREAD_POOL_H
#define BRAID_THREAD_POOL_H

#include "core/work/pool.h"
#include "core/sync/queue.h"

struct braid_thread_pool;

struct braid_worker {
  struct braid_thread_pool *pool;
  pthread_t thread;
  pthread_mutex_t mutex;
  struct braid_loop *loop; /* NULL: it has none; guarded by mutex */
  unsigned index;
  atomic_uint running; /* jobs that it has begun and that have not ended */
  uint64_t last; /* of the jobs that its pool gives up: the last that waited when it was tried to make it. Its own */
  int64_t pause; /* ns until it is tried again to make it, for want of memory or descriptors; 0: it is made. Its own */
};

struct braid_thread_pool {
  struct braid_pool pool;
  struct braid_queue *jobs;
  void (*body)(struct braid_worker *worker);
  void *settings; /* the body's; freed with free_settings */
  void (*free_settings)(void *settings);
  unsigned count;       /* guarded by the pool's mutex, as are these */
  unsigned serving;     /* workers that may take jobs still */
  unsigned unmade;      /* of these those that cannot be made now */
  uint64_t given_up;    /* jobs that ended because none could be made; guarded so, too */
  atomic_bool stopping; /* every running job is to end */
  struct braid_worker workers[];
};

/* Starts the threads; takes over the settings when it succeeds. NULL and errno when the system refuses. */
struct braid_thread_pool *braid_thread_pool_new(unsigned count, void (*body)(struct braid_worker *), void *settings,
                                                void (*free_settings)(void *));

/* One without threads of its own: somebody will run its one worker. NULL when memory is out. */
struct braid_thread_pool *braid_thread_pool_lone(void (*body)(struct braid_worker *), void *settings,
                                                 void (*free_settings)(void *));

/* Runs the lone worker, here and now, until it ends. */
void braid_thread_pool_run(struct braid_thread_pool *pool);

/* ---- for workers: their own thread ---- */

/* The worker has a loop now, or none any more (NULL): from here on it can be asked to stop, or not. */
void braid_worker_attach(struct braid_worker *worker, struct braid_loop *loop);

/* The job that an item of the queue stands for, begun; NULL when it was cancelled meanwhile: take another. */
struct braid_job *braid_worker_begin(struct braid_worker *worker, struct braid_item item);

/* The job has ended: the reply (which the job takes over; NULL when cancelled) travels home. Cannot fail. */
void braid_worker_finish(struct braid_worker *worker, struct braid_job *job, enum braid_job_outcome outcome,
                         struct braid_message *reply, int64_t busy);

/* A worker could not begin: takes over the message that says why (NULL: memory is out), for which what is queued fails,
 * and refuses more. */
void braid_worker_fail(struct braid_worker *worker, struct braid_message *failure);

/* What the worker needs (its state, say) cannot be made for want of memory or descriptors: error is the system's number
 * for it. What is queued fails with that unless other workers can do it. Blocks until it is worth another try: true; or
 * until there will be no more jobs. */
bool braid_worker_is_short(struct braid_worker *worker, int error);

/* It is made. */
void braid_worker_is_made(struct braid_worker *worker);

#endif
