/* SPDX-License-Identifier: MIT
 * Threads that take jobs from one queue. What a worker does with a job is its body's; the core only hands it out and
 * brings the reply home. */
#ifndef BRAID_THREAD_POOL_H
#define BRAID_THREAD_POOL_H

#include "job.h"
#include "loop.h"
#include "queue.h"

struct braid_thread_pool;

struct braid_worker {
  struct braid_thread_pool *pool;
  pthread_t thread;
  pthread_mutex_t mutex;
  struct braid_loop *loop; /* NULL: it has none; guarded by mutex */
  unsigned index;
};

struct braid_pool_stats {
  uint64_t running, done, failed, cancelled, bytes_in, bytes_out, busy; /* busy: nanoseconds */
};

struct braid_thread_pool {
  struct braid_object object;
  struct braid_queue *jobs;
  void (*body)(struct braid_worker *worker);
  void *settings; /* the body's; freed with free_settings */
  void (*free_settings)(void *settings);
  pthread_mutex_t mutex;
  pthread_cond_t thread_ended;
  unsigned count, alive;         /* alive: threads that have not ended; guarded by mutex */
  struct braid_list sibling;     /* among the pools of the state that made it; that thread only */
  struct braid_line ended;       /* who waits for the last thread; guarded by object.guard */
  atomic_bool stopping;          /* every running job is to end */
  struct braid_message *failure; /* why the pool is broken: error and traceback; guarded by mutex */
  struct braid_pool_stats stats; /* guarded by mutex */
  struct braid_worker workers[];
};

extern const struct braid_class braid_thread_pool_class;

/* Starts the threads; takes over the settings when it succeeds. NULL and errno when the system refuses. */
struct braid_thread_pool *braid_thread_pool_new(unsigned count, void (*body)(struct braid_worker *), void *settings,
                                                void (*free_settings)(void *));

/* BRAID_CLOSED, BRAID_NO_MEMORY: nothing has happened. The submitter's thread. */
enum braid_status braid_thread_pool_submit(struct braid_thread_pool *pool, struct braid_job *job);

/* A queued job ends at once, a running one is asked to. False when it had ended. Any thread. */
bool braid_thread_pool_cancel(struct braid_thread_pool *pool, struct braid_job *job);

/* No more jobs; what is queued is still run, or cancelled. Any thread. */
void braid_thread_pool_close(struct braid_thread_pool *pool, bool cancel_pending);

/* Asks every running job to end. Any thread. */
void braid_thread_pool_stop(struct braid_thread_pool *pool);

/* BRAID_OK when all threads have ended, or BRAID_WAIT. Any thread; does not block. */
enum braid_status braid_thread_pool_join(struct braid_thread_pool *pool, struct braid_hook *hook);

/* Blocks until all threads have ended or the deadline passes; false then. Not for a worker. */
bool braid_thread_pool_await(struct braid_thread_pool *pool, int64_t deadline);

/* ---- for workers: their own thread ---- */

/* The worker has a loop now, or none any more (NULL): from here on it can be asked to stop, or not. */
void braid_worker_attach(struct braid_worker *worker, struct braid_loop *loop);

/* The job that an item of the queue stands for, begun; NULL when it was cancelled meanwhile: take another. */
struct braid_job *braid_worker_begin(struct braid_worker *worker, struct braid_item item);

/* The job has ended: the reply (which the job takes over; NULL when cancelled) travels home. Cannot fail. */
void braid_worker_finish(struct braid_worker *worker, struct braid_job *job, enum braid_job_outcome outcome,
                         struct braid_message *reply, int64_t busy);

/* A worker could not begin: takes over the message that says why, cancels what is queued and refuses more. */
void braid_worker_fail(struct braid_worker *worker, struct braid_message *failure);

/* Sent to a worker's thread when a running job is asked to stop: SIGURG, which harms nobody who does not expect it. */
#define BRAID_WORKER_SIGNAL SIGURG

#endif
