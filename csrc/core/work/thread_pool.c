/* SPDX-License-Identifier: MIT
 * Reference-counted: the submitter's userdata holds a reference, and each thread that runs. */
#include "core/work/thread_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/inspect/poke.h"

static struct braid_thread_pool *of(struct braid_pool *pool) {
  return braid_container(pool, struct braid_thread_pool, pool);
}

static void destroy(struct braid_pool *common) {
  struct braid_thread_pool *pool = of(common);
  for (unsigned i = 0; i < pool->count; i++) pthread_mutex_destroy(&pool->workers[i].mutex);
  if (pool->jobs) braid_object_unref(&pool->jobs->object);
  if (pool->settings) pool->free_settings(pool->settings);
  braid_pool_term(common);
  free(pool);
}

/* ---- threads -------------------------------------------------------------------------------------------------- */

static void end_queued(struct braid_thread_pool *pool);

/* Runs when a worker ends, whatever the reason. The last worker ends the jobs that are left; later ones are refused. */
static void retire(struct braid_thread_pool *pool) {
  pthread_mutex_lock(&pool->pool.mutex);
  bool last = --pool->serving == 0;
  pthread_mutex_unlock(&pool->pool.mutex);
  if (!last) return;
  braid_queue_close(pool->jobs, false);
  end_queued(pool);
}

static void *run(void *argument) {
  struct braid_worker *worker = argument;
  struct braid_thread_pool *pool = worker->pool;
  pool->body(worker);
  retire(pool);
  braid_pool_lose_worker(&pool->pool);
  braid_object_unref(&pool->pool.object);
  return NULL;
}

static struct braid_worker *add_worker(struct braid_thread_pool *pool) {
  struct braid_worker *worker = &pool->workers[pool->count];
  *worker = (struct braid_worker){.pool = pool, .index = pool->count++};
  pthread_mutex_init(&worker->mutex, NULL);
  braid_object_ref(&pool->pool.object);
  pool->pool.alive++;
  pool->serving++;
  return worker;
}

static int start_thread(struct braid_thread_pool *pool) {
  struct braid_worker *worker = add_worker(pool);
  pthread_t thread; /* `worker->thread` is written by that thread itself: see braid_worker_attach */
  int error = braid_thread_start(&thread, run, worker);
  if (!error) {
    pthread_detach(thread);
    return 0;
  }
  pool->pool.alive--;
  pool->serving--;
  braid_object_unref(&pool->pool.object);
  return error;
}

static const struct braid_pool_kind kind;

/* Makes a pool without workers. */
static struct braid_thread_pool *new_pool(unsigned count, void (*body)(struct braid_worker *)) {
  struct braid_thread_pool *pool = calloc(1, sizeof *pool + count * sizeof *pool->workers);
  if (!pool) return NULL;
  braid_pool_init(&pool->pool, &kind);
  pool->body = body;
  pool->jobs = braid_queue_new(0, BRAID_FIFO);
  if (!pool->jobs) {
    braid_object_unref(&pool->pool.object);
    return NULL;
  }
  braid_object_share(&pool->jobs->object);
  pool->jobs->recent_first = true; /* keeps one worker busy, with warm caches; the others may sleep */
  return pool;
}

struct braid_thread_pool *braid_thread_pool_new(unsigned count, void (*body)(struct braid_worker *), void *settings,
                                                void (*free_settings)(void *)) {
  struct braid_thread_pool *pool = new_pool(count, body);
  if (!pool) {
    errno = ENOMEM;
    return NULL;
  }
  int error = 0;
  pthread_mutex_lock(&pool->pool.mutex); /* a thread that ends early must see the full count */
  pool->settings = settings;
  pool->free_settings = free_settings;
  for (unsigned i = 0; i < count && !error; i++) error = start_thread(pool);
  pthread_mutex_unlock(&pool->pool.mutex);
  if (!error) return pool;
  braid_queue_close(pool->jobs, true);
  braid_pool_await(&pool->pool, BRAID_NEVER);
  pool->settings = NULL;
  braid_object_unref(&pool->pool.object);
  errno = error;
  return NULL;
}

struct braid_thread_pool *braid_thread_pool_lone(void (*body)(struct braid_worker *), void *settings,
                                                 void (*free_settings)(void *)) {
  struct braid_thread_pool *pool = new_pool(1, body);
  if (!pool) return NULL;
  pool->settings = settings;
  pool->free_settings = free_settings;
  add_worker(pool);
  return pool;
}

void braid_thread_pool_run(struct braid_thread_pool *pool) { run(&pool->workers[0]); }

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static struct braid_item item_of(struct braid_job *job) {
  return (struct braid_item){(uint64_t)(uintptr_t)job, BRAID_ITEM_REFERENCE};
}

static struct braid_job *job_of(struct braid_item item) { return (struct braid_job *)(uintptr_t)item.bits; }

static enum braid_status submit(struct braid_pool *pool, struct braid_job *job) {
  braid_pool_admit(pool);
  enum braid_status status = braid_queue_put(of(pool)->jobs, item_of(job), 0, NULL);
  if (status != BRAID_OK) braid_pool_turn_away(pool);
  return status;
}

/* Sends the reply of a job whose submitter is in another process. Outside the mutex. */
static void deliver(struct braid_job *job) {
  if (job->deliver) job->deliver(job);
}

static void poke(struct braid_worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  if (worker->loop) {
    braid_loop_interrupt(worker->loop);
    braid_poke(worker->thread);
  }
  pthread_mutex_unlock(&worker->mutex);
}

static bool cancel(struct braid_pool *pool, struct braid_job *job) {
  if (braid_job_take(job, BRAID_JOB_ENDED)) {
    pthread_mutex_lock(&pool->mutex);
    job->outcome = BRAID_JOB_CANCELLED;
    braid_job_ref(job);
    braid_pool_bring_home(pool, job);
    pthread_mutex_unlock(&pool->mutex);
    deliver(job);
    return true;
  }
  if (atomic_load(&job->state) == BRAID_JOB_ENDED) return false;
  atomic_store(&job->stop, true);
  struct braid_worker *worker = atomic_load(&job->worker);
  if (worker) poke(worker);
  return true;
}

/* Ends a job that no worker will begin: because no worker could be made (`shortage`: an error number, else 0), because
 * the pool is broken, or because it was cancelled. */
static void end_job(struct braid_pool *pool, struct braid_job *job, int shortage) {
  pthread_mutex_lock(&pool->mutex);
  struct braid_message *failure = shortage ? NULL : pool->failure;
  job->outcome = failure ? BRAID_JOB_FAILED : pool->dead ? BRAID_JOB_DIED : BRAID_JOB_CANCELLED;
  if (shortage) job->outcome = BRAID_JOB_NO_WORKER;
  if (failure) braid_message_ref(failure);
  job->reply = failure;
  job->error = shortage;
  braid_job_ref(job);
  braid_pool_bring_home(pool, job);
  pthread_mutex_unlock(&pool->mutex);
  deliver(job);
}

static bool end_first(struct braid_thread_pool *pool, int shortage) {
  struct braid_item item;
  if (braid_queue_get(pool->jobs, &item, NULL) != BRAID_OK) return false;
  struct braid_job *job = job_of(item);
  if (braid_job_take(job, BRAID_JOB_ENDED)) end_job(&pool->pool, job, shortage);
  braid_job_unref(job);
  return true;
}

static void end_queued(struct braid_thread_pool *pool) {
  while (end_first(pool, 0)) {
  }
}

static void close_pool(struct braid_pool *pool, bool cancel_pending) {
  braid_queue_close(of(pool)->jobs, false);
  if (cancel_pending) end_queued(of(pool));
}

static void stop(struct braid_pool *common) {
  struct braid_thread_pool *pool = of(common);
  atomic_store(&pool->stopping, true);
  for (unsigned i = 0; i < pool->count; i++) poke(&pool->workers[i]);
}

static size_t queued(struct braid_pool *pool) { return braid_queue_look(of(pool)->jobs).size; }

static size_t running(struct braid_pool *common) {
  struct braid_thread_pool *pool = of(common);
  size_t count = 0;
  for (unsigned i = 0; i < pool->count; i++)
    count += atomic_load_explicit(&pool->workers[i].counts.running, memory_order_relaxed);
  return count;
}

static void add_stats(struct braid_pool *common, struct braid_pool_stats *stats) {
  struct braid_thread_pool *pool = of(common);
  for (unsigned i = 0; i < pool->count; i++) {
    struct braid_worker_counts *counts = &pool->workers[i].counts;
    stats->done += atomic_load_explicit(&counts->done, memory_order_relaxed);
    stats->failed += atomic_load_explicit(&counts->failed, memory_order_relaxed);
    stats->cancelled += atomic_load_explicit(&counts->cancelled, memory_order_relaxed);
    stats->bytes_in += atomic_load_explicit(&counts->bytes_in, memory_order_relaxed);
    stats->bytes_out += atomic_load_explicit(&counts->bytes_out, memory_order_relaxed);
    stats->busy += atomic_load_explicit(&counts->busy, memory_order_relaxed);
  }
}

static const struct braid_pool_kind kind = {.submit = submit,
                                            .cancel = cancel,
                                            .close = close_pool,
                                            .stop = stop,
                                            .queued = queued,
                                            .running = running,
                                            .add_stats = add_stats,
                                            .destroy = destroy};

/* ---- workers -------------------------------------------------------------------------------------------------- */

void braid_worker_attach(struct braid_worker *worker, struct braid_loop *loop) {
  pthread_mutex_lock(&worker->mutex);
  worker->loop = loop;
  if (loop) worker->thread = pthread_self();
  pthread_mutex_unlock(&worker->mutex);
}

/* False: the parent process has recalled the job. */
static bool take_flag(struct braid_job *job) {
  struct braid_job_flag *flag = atomic_load(&job->flag);
  if (!flag) return true;
  if (!braid_job_flag_take(flag, job->ticket, BRAID_JOB_FLAG_BEGUN)) return false;
  atomic_store(&flag->began, braid_clock_now());
  return true;
}

static unsigned running_of(struct braid_worker *worker) {
  return atomic_load_explicit(&worker->counts.running, memory_order_relaxed);
}

/* `job->worker` is set before the job is taken: whoever finds it taken finds the worker as well. */
struct braid_job *braid_worker_begin(struct braid_worker *worker, struct braid_item item) {
  struct braid_job *job = job_of(item);
  atomic_store_explicit(&job->worker, worker, memory_order_relaxed);
  if (!braid_job_take(job, BRAID_JOB_RUNNING)) {
    braid_job_unref(job);
    return NULL;
  }
  if (!take_flag(job)) {
    job->deliver(job);
    braid_job_unref(job);
    return NULL;
  }
  atomic_store_explicit(&worker->counts.running, running_of(worker) + 1, memory_order_relaxed);
  return job;
}

static void add(atomic_ullong *count, uint64_t more) {
  atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more, memory_order_relaxed);
}

static void count(struct braid_worker_counts *counts, const struct braid_job *job) {
  add(&counts->bytes_in, job->call->size);
  add(&counts->bytes_out, braid_job_reply_size(job));
  add(&counts->busy, (uint64_t)job->busy);
  add(job->outcome == BRAID_JOB_DONE        ? &counts->done
      : job->outcome == BRAID_JOB_CANCELLED ? &counts->cancelled
                                            : &counts->failed,
      1);
}

void braid_worker_finish(struct braid_worker *worker, struct braid_job *job, enum braid_job_outcome outcome,
                         struct braid_reply reply, int64_t busy) {
  job->outcome = (uint8_t)outcome;
  job->reply = reply.message;
  job->result = reply.result;
  job->busy = busy;
  count(&worker->counts, job);
  atomic_store_explicit(&worker->counts.running, running_of(worker) - 1, memory_order_relaxed);
  atomic_store_explicit(&job->worker, NULL, memory_order_relaxed);
  atomic_store_explicit(&job->state, BRAID_JOB_ENDED, memory_order_release);
  if (job->deliver) {
    braid_job_ref(job);
    braid_pool_send_home(&worker->pool->pool, job);
    job->deliver(job);
    braid_job_unref(job);
  } else {
    braid_pool_send_home(&worker->pool->pool, job);
  }
}

void braid_worker_fail(struct braid_worker *worker, struct braid_message *failure) {
  struct braid_pool *pool = &worker->pool->pool;
  pthread_mutex_lock(&pool->mutex);
  bool first = !pool->failure && !pool->dead;
  if (first) {
    pool->failure = failure;
    pool->dead = !failure;
    pool->error = failure ? 0 : ENOMEM;
  }
  pthread_mutex_unlock(&pool->mutex);
  if (!first && failure) braid_message_unref(failure);
  braid_queue_close(worker->pool->jobs, false);
  end_queued(worker->pool);
}

/* ---- shortage: a worker cannot be made now -------------------------------------------------------------------- */

enum { SOON = 20 * 1000 * 1000, LATE = 1000 * 1000 * 1000 }; /* ns between two tries */

/* Counts this worker as one that cannot be made. True: that holds for all workers that are left. */
static bool count_unmade(struct braid_worker *worker) {
  struct braid_thread_pool *pool = worker->pool;
  pthread_mutex_lock(&pool->pool.mutex);
  if (!worker->pause) pool->unmade++;
  bool all = pool->unmade == pool->serving;
  worker->pause = all || !worker->pause ? SOON : worker->pause < LATE ? worker->pause * 2 : LATE;
  pthread_mutex_unlock(&pool->pool.mutex);
  return all;
}

void braid_worker_is_made(struct braid_worker *worker) {
  if (!worker->pause) return;
  pthread_mutex_lock(&worker->pool->pool.mutex);
  worker->pool->unmade--;
  pthread_mutex_unlock(&worker->pool->pool.mutex);
  worker->pause = 0;
}

/* Remembers the last job that waits for the try that comes now. */
static void note_waiting(struct braid_worker *worker, size_t count) {
  struct braid_pool *pool = &worker->pool->pool;
  pthread_mutex_lock(&pool->mutex);
  worker->last = worker->pool->given_up + count;
  pthread_mutex_unlock(&pool->mutex);
}

/* Ends the jobs that have waited since before this try. Later jobs wait for the next try. */
static void give_up_jobs(struct braid_worker *worker, int error) {
  struct braid_thread_pool *pool = worker->pool;
  bool more = true;
  while (more) {
    pthread_mutex_lock(&pool->pool.mutex);
    more = pool->given_up < worker->last;
    if (more) pool->given_up++;
    pthread_mutex_unlock(&pool->pool.mutex);
    if (more) more = end_first(pool, error);
  }
}

/* Waits for jobs, and for the next try. It polls the queue: a wait in a queue needs a loop, and so descriptors. False:
 * no job will come. */
static bool await_jobs(struct braid_worker *worker) {
  for (int64_t left = worker->pause;; left -= SOON) {
    struct braid_queue_facts look = braid_queue_look(worker->pool->jobs);
    if (look.closed && look.size == 0) return false;
    if (left <= 0 && look.size > 0) {
      note_waiting(worker, look.size);
      return true;
    }
    nanosleep(&(struct timespec){.tv_nsec = SOON}, NULL);
  }
}

bool braid_worker_is_short(struct braid_worker *worker, int error) {
  if (count_unmade(worker)) give_up_jobs(worker, error);
  if (await_jobs(worker)) return true;
  braid_worker_is_made(worker); /* this worker ends, so it no longer counts as unmade */
  return false;
}
