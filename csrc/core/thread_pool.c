/* SPDX-License-Identifier: MIT
 * Owned by its references: the submitter's box and each running thread hold one. A job's home is given up and its
 * waiter posted under the pool's mutex, so that a submitter that goes away first can take it back. */
#include "thread_pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static void destroy(struct braid_object *object) {
  struct braid_thread_pool *pool = braid_container(object, struct braid_thread_pool, object);
  for (unsigned i = 0; i < pool->count; i++) pthread_mutex_destroy(&pool->workers[i].mutex);
  if (pool->jobs) braid_object_unref(&pool->jobs->object);
  if (pool->failure) braid_message_unref(pool->failure);
  if (pool->settings) pool->free_settings(pool->settings);
  pthread_cond_destroy(&pool->thread_ended);
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

const struct braid_class braid_thread_pool_class = {"braid.pool", destroy};

/* ---- threads -------------------------------------------------------------------------------------------------- */

static void thread_ends(struct braid_thread_pool *pool) {
  struct braid_road woken = {0};
  pthread_mutex_lock(&pool->mutex);
  bool last = --pool->alive == 0;
  pthread_cond_broadcast(&pool->thread_ended);
  pthread_mutex_unlock(&pool->mutex);
  if (!last) return;
  braid_guard_enter(&pool->object.guard);
  braid_line_claim_all(&pool->ended, BRAID_OK, &woken);
  braid_guard_leave(&pool->object.guard);
  braid_loop_post_all(&woken);
}

static void *run(void *argument) {
  struct braid_worker *worker = argument;
  struct braid_thread_pool *pool = worker->pool;
  pool->body(worker);
  thread_ends(pool);
  braid_object_unref(&pool->object);
  return NULL;
}

static int start_thread(struct braid_thread_pool *pool, unsigned index) {
  struct braid_worker *worker = &pool->workers[index];
  *worker = (struct braid_worker){.pool = pool, .index = index};
  pthread_mutex_init(&worker->mutex, NULL);
  braid_object_ref(&pool->object);
  pool->count++;
  pool->alive++;
  pthread_t thread; /* the worker's own field is the thread's to write: see braid_worker_attach */
  int error = braid_thread_start(&thread, run, worker);
  if (!error) {
    pthread_detach(thread);
    return 0;
  }
  pool->alive--;
  braid_object_unref(&pool->object);
  return error;
}

struct braid_thread_pool *braid_thread_pool_new(unsigned count, void (*body)(struct braid_worker *), void *settings,
                                                void (*free_settings)(void *)) {
  struct braid_thread_pool *pool = calloc(1, sizeof *pool + count * sizeof *pool->workers);
  if (!pool) return NULL;
  braid_object_init(&pool->object, &braid_thread_pool_class);
  braid_object_share(&pool->object);
  braid_list_init(&pool->sibling);
  braid_line_init(&pool->ended, &pool->object.guard);
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&pool->thread_ended, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pool->body = body;
  pool->jobs = braid_queue_new(0, BRAID_FIFO);
  if (pool->jobs) {
    braid_object_share(&pool->jobs->object);
    pool->jobs->recent_first = true; /* one worker that is kept busy stays warm; the others may sleep */
  }
  int error = pool->jobs ? 0 : ENOMEM;
  pthread_mutex_lock(&pool->mutex); /* a thread that ends early waits for the count */
  pool->settings = settings;
  pool->free_settings = free_settings;
  for (unsigned i = 0; i < count && !error; i++) error = start_thread(pool, i);
  pthread_mutex_unlock(&pool->mutex);
  if (!error) return pool;
  if (pool->jobs) braid_queue_close(pool->jobs, true);
  braid_thread_pool_await(pool, BRAID_NEVER);
  pool->settings = NULL;
  braid_object_unref(&pool->object);
  errno = error;
  return NULL;
}

enum braid_status braid_thread_pool_join(struct braid_thread_pool *pool, struct braid_hook *hook) {
  braid_guard_enter(&pool->object.guard);
  pthread_mutex_lock(&pool->mutex);
  bool ended = pool->alive == 0;
  pthread_mutex_unlock(&pool->mutex);
  if (!ended) braid_hook_join(hook, &pool->ended);
  braid_guard_leave(&pool->object.guard);
  return ended ? BRAID_OK : BRAID_WAIT;
}

bool braid_thread_pool_await(struct braid_thread_pool *pool, int64_t deadline) {
  struct timespec time = {.tv_sec = (time_t)(deadline / BRAID_SECOND), .tv_nsec = (long)(deadline % BRAID_SECOND)};
  int error = 0;
  pthread_mutex_lock(&pool->mutex);
  while (pool->alive > 0 && !error)
    error = deadline == BRAID_NEVER ? pthread_cond_wait(&pool->thread_ended, &pool->mutex)
                                    : pthread_cond_timedwait(&pool->thread_ended, &pool->mutex, &time);
  bool ended = pool->alive == 0;
  pthread_mutex_unlock(&pool->mutex);
  return ended;
}

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static struct braid_item item_of(struct braid_job *job) {
  return (struct braid_item){(uint64_t)(uintptr_t)job, BRAID_ITEM_REFERENCE};
}

static struct braid_job *job_of(struct braid_item item) { return (struct braid_job *)(uintptr_t)item.bits; }

enum braid_status braid_thread_pool_submit(struct braid_thread_pool *pool, struct braid_job *job) {
  return braid_queue_put(pool->jobs, item_of(job), 0, NULL);
}

/* Sends the waiter home, unless the submitter has taken it back. */
static void go_home(struct braid_thread_pool *pool, struct braid_job *job) {
  pthread_mutex_lock(&pool->mutex);
  struct braid_waiter *home = job->home;
  job->home = NULL;
  switch ((enum braid_job_outcome)job->outcome) {
    case BRAID_JOB_DONE: pool->stats.done++; break;
    case BRAID_JOB_FAILED: pool->stats.failed++; break;
    default: pool->stats.cancelled++;
  }
  if (home) braid_loop_post(home);
  pthread_mutex_unlock(&pool->mutex);
}

static void poke(struct braid_worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  if (worker->loop) {
    braid_loop_interrupt(worker->loop);
    pthread_kill(worker->thread, BRAID_WORKER_SIGNAL);
  }
  pthread_mutex_unlock(&worker->mutex);
}

bool braid_thread_pool_cancel(struct braid_thread_pool *pool, struct braid_job *job) {
  if (braid_job_take(job, BRAID_JOB_ENDED)) {
    job->outcome = BRAID_JOB_CANCELLED;
    go_home(pool, job);
    return true;
  }
  if (atomic_load(&job->state) == BRAID_JOB_ENDED) return false;
  atomic_store(&job->stop, true);
  struct braid_worker *worker = atomic_load(&job->worker);
  if (worker) poke(worker);
  return true;
}

/* Ends what is queued: cancelled, or failed with the pool's failure. */
static void end_queued(struct braid_thread_pool *pool, struct braid_message *failure) {
  struct braid_item item;
  while (braid_queue_get(pool->jobs, &item, NULL) == BRAID_OK) {
    struct braid_job *job = job_of(item);
    if (braid_job_take(job, BRAID_JOB_ENDED)) {
      job->outcome = failure ? BRAID_JOB_FAILED : BRAID_JOB_CANCELLED;
      if (failure) braid_message_ref(failure);
      job->reply = failure;
      go_home(pool, job);
    }
    braid_job_unref(job);
  }
}

void braid_thread_pool_close(struct braid_thread_pool *pool, bool cancel_pending) {
  braid_queue_close(pool->jobs, false);
  if (cancel_pending) end_queued(pool, NULL);
}

void braid_thread_pool_stop(struct braid_thread_pool *pool) {
  atomic_store(&pool->stopping, true);
  for (unsigned i = 0; i < pool->count; i++) poke(&pool->workers[i]);
}

/* ---- workers -------------------------------------------------------------------------------------------------- */

void braid_worker_attach(struct braid_worker *worker, struct braid_loop *loop) {
  pthread_mutex_lock(&worker->mutex);
  worker->loop = loop;
  if (loop) worker->thread = pthread_self();
  pthread_mutex_unlock(&worker->mutex);
}

struct braid_job *braid_worker_begin(struct braid_worker *worker, struct braid_item item) {
  struct braid_job *job = job_of(item);
  if (!braid_job_take(job, BRAID_JOB_RUNNING)) {
    braid_job_unref(job);
    return NULL;
  }
  atomic_store(&job->worker, worker);
  pthread_mutex_lock(&worker->pool->mutex);
  worker->pool->stats.running++;
  worker->pool->stats.bytes_in += job->call->size;
  pthread_mutex_unlock(&worker->pool->mutex);
  return job;
}

void braid_worker_finish(struct braid_worker *worker, struct braid_job *job, enum braid_job_outcome outcome,
                         struct braid_message *reply, int64_t busy) {
  struct braid_thread_pool *pool = worker->pool;
  job->outcome = (uint8_t)outcome;
  job->reply = reply;
  atomic_store(&job->worker, NULL);
  atomic_store(&job->state, BRAID_JOB_ENDED);
  pthread_mutex_lock(&pool->mutex);
  pool->stats.running--;
  pool->stats.bytes_out += reply ? reply->size : 0;
  pool->stats.busy += (uint64_t)busy;
  pthread_mutex_unlock(&pool->mutex);
  go_home(pool, job);
  braid_job_unref(job);
}

void braid_worker_fail(struct braid_worker *worker, struct braid_message *failure) {
  struct braid_thread_pool *pool = worker->pool;
  pthread_mutex_lock(&pool->mutex);
  struct braid_message *extra = pool->failure ? failure : NULL;
  if (!extra) pool->failure = failure;
  pthread_mutex_unlock(&pool->mutex);
  if (extra) braid_message_unref(extra);
  braid_queue_close(pool->jobs, false);
  end_queued(pool, pool->failure); /* set by now, and for good */
}
