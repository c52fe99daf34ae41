/* SPDX-License-Identifier: MIT
 * The pool as its users see it, and its ticks, at which the I/O thread looks after it. */
#include "core/process/process_pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "core/process/worker_life.h"

enum {
  TICK = 2 * 1000 * 1000,        /* ns in which a worker with jobs in advance must reply; else it is stuck */
  FIRST_TICK = 20 * 1000 * 1000, /* ns until the first check whether a sent job has begun */
  SLOW_TICK = 100 * 1000 * 1000
};

static struct braid_process_pool *of(struct braid_pool *pool) {
  return braid_container(pool, struct braid_process_pool, pool);
}

/* ---- ticks: the I/O thread ------------------------------------------------------------------------------------ */

/* Whether something depends on this worker, so that it must be asked for a sign of life: it has not begun a job, it is
 * not ready while jobs wait, or the pool closes. Under the mutex. */
static bool is_suspect(const struct braid_process_pool *pool, const struct braid_worker_handle *worker) {
  if (pool->closed || worker->waiting) return true;
  return pool->dispatch.pending_count > 0 && (!worker->ready || (worker->stuck && worker->in_flight == 0));
}

/* ns until the next look at this worker; 0: none is needed. Under the mutex. */
static int64_t pause_of(const struct braid_process_pool *pool, const struct braid_worker_handle *worker) {
  if (worker->in_flight > pool->plan.tasks) return TICK;
  if (!worker->waiting && braid_worker_handle_waiting(worker)) return FIRST_TICK;
  bool due = worker->again || worker->doomed || (pool->plan.time_limit && worker->in_flight);
  return due || is_suspect(pool, worker) || braid_worker_handle_deadline(worker, pool->plan.time_limit) ? SLOW_TICK : 0;
}

/* Sets the alarm for the first worker that needs a look. Under the mutex. */
static void tick_on(struct braid_process_pool *pool) {
  int64_t first = 0;
  for (unsigned i = 0; i < pool->dispatch.count; i++) {
    int64_t pause = pause_of(pool, &pool->workers[i]);
    if (pause && (!first || pause < first)) first = pause;
  }
  if (!first) return;
  int64_t next = braid_clock_now() + first;
  if (pool->next_tick && pool->next_tick <= next) return;
  pool->next_tick = braid_alarm_start(&pool->io_thread->loop, &pool->alarm, next) ? next : 0;
}

/* Tells idle workers to end, when the pool is closed and no job waits. Under the mutex. */
static void say_good_bye(struct braid_process_pool *pool) {
  struct braid_frame bye = {.kind = BRAID_FRAME_BYE};
  if (!pool->closed || pool->dispatch.pending_count > 0) return;
  for (unsigned i = 0; i < pool->dispatch.count; i++) {
    struct braid_worker_handle *worker = &pool->workers[i];
    if (!worker->usable || worker->in_flight > 0) continue;
    worker->usable = false;
    worker->told = true;
    worker->doomed = braid_clock_now();
    braid_connection_send(&worker->connection, bye, NULL);
  }
}

/* The worker is most likely frozen. What it has not begun goes to other workers. It is killed and replaced when jobs
 * wait and it has begun none; with begun jobs only when the pool closes. Under the mutex. */
static void give_up_silent(struct braid_process_pool *pool, struct braid_worker_handle *worker) {
  bool has_begun = braid_worker_handle_begun(worker) > 0;
  if (worker->waiting) worker->stuck = true;
  braid_dispatch_recall(&pool->dispatch, worker);
  bool missed = pool->dispatch.pending_count > 0 && !has_begun;
  if (pool->closed || missed) braid_worker_handle_kill_silent(worker, has_begun);
}

/* Under the mutex. */
static void look_after(struct braid_process_pool *pool, struct braid_worker_handle *worker, int64_t now,
                       int64_t elapsed) {
  int64_t deadline = braid_worker_handle_deadline(worker, pool->plan.time_limit);
  braid_worker_handle_press(worker, worker->doomed ? worker->doomed : deadline, now, elapsed);
  braid_dispatch_look(&pool->dispatch, worker, now);
  if (braid_worker_handle_is_silent(worker, is_suspect(pool, worker), now, elapsed)) give_up_silent(pool, worker);
}

static void on_alarm(struct braid_alarm *alarm) {
  struct braid_process_pool *pool = braid_container(alarm, struct braid_process_pool, alarm);
  int64_t now = braid_clock_now(), elapsed = now - pool->last_tick;
  if (elapsed > 2 * SLOW_TICK) elapsed = 2 * SLOW_TICK; /* this process was stopped, or there were no ticks */
  braid_object_ref(&pool->pool.object);                 /* the last worker may drop its reference */
  pool->last_tick = now;
  braid_process_pool_lock(pool);
  pool->next_tick = 0;
  for (unsigned i = 0; i < pool->dispatch.count; i++) look_after(pool, &pool->workers[i], now, elapsed);
  braid_process_pool_unlock(pool);
  braid_worker_life_try_again(pool);
  braid_process_pool_lock(pool);
  braid_process_pool_ask(pool);
  braid_process_pool_unlock(pool);
  braid_object_unref(&pool->pool.object);
}

static void kill_all(struct braid_process_pool *pool) {
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    if (pool->workers[i].child) braid_child_kill(pool->workers[i].child, SIGKILL);
}

/* Does what has to be done; ask_io_thread asks for it. */
static void look(struct braid_errand *errand) {
  struct braid_process_pool *pool = braid_container(errand, struct braid_process_pool, errand);
  braid_object_ref(&pool->pool.object); /* the last worker may drop its reference */
  if (!pool->started) {
    pool->started = true;
    for (unsigned i = 0; i < pool->dispatch.count; i++) braid_worker_life_begin(&pool->workers[i]);
  }
  braid_process_pool_lock(pool);
  if (!pool->over) {
    braid_dispatch_hand_out(&pool->dispatch);
    for (unsigned i = 0; pool->stopping && i < pool->dispatch.count; i++)
      braid_worker_handle_stop_all(&pool->workers[i]);
    if (pool->killing) kill_all(pool);
    say_good_bye(pool);
    tick_on(pool);
  }
  braid_process_pool_unlock(pool);
  braid_object_unref(&pool->pool.object);
}

/* A thread that waits for replies looks for them. */
static bool look_for_replies(struct braid_lookout *lookout, enum braid_look how) {
  struct braid_process_pool *pool = braid_container(lookout, struct braid_process_pool, pool.lookout);
  bool came = false;
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    if (braid_connection_look(&pool->workers[i].connection, how)) came = true;
  return came;
}

/* ---- public functions ----------------------------------------------------------------------------------------- */

static enum braid_status submit(struct braid_pool *common, struct braid_job *job) {
  struct braid_process_pool *pool = of(common);
  braid_process_pool_lock(pool);
  bool closed = pool->closed;
  if (!closed) braid_pool_admit(common);
  bool given = !closed && braid_dispatch_submit(&pool->dispatch, job);
  bool first = pool->dispatch.pending_count == 1;                         /* its workers may be frozen in their init */
  if ((given || first) && !pool->next_tick) braid_process_pool_ask(pool); /* it sets the tick that looks after them */
  braid_process_pool_unlock(pool);
  return closed ? BRAID_CLOSED : BRAID_OK;
}

static bool cancel(struct braid_pool *common, struct braid_job *job) {
  struct braid_process_pool *pool = of(common);
  bool found = true;
  braid_process_pool_lock(pool);
  struct braid_job_flag *flag = atomic_load(&job->flag);
  if (braid_dispatch_remove(&pool->dispatch, job)) {
    braid_process_pool_end_job(pool, job, BRAID_JOB_CANCELLED);
  } else if (flag && braid_job_flag_take(flag, job->ticket, BRAID_JOB_FLAG_NONE)) {
    braid_worker_handle_release(job->worker_handle, job->ticket);
    braid_process_pool_end_job(pool, job, BRAID_JOB_CANCELLED);
  } else if (flag) {
    if (!atomic_load(&job->stop)) braid_worker_handle_stop(job);
  } else {
    found = false;
  }
  braid_process_pool_ask(pool);
  braid_process_pool_unlock(pool);
  return found;
}

static void close_pool(struct braid_pool *common, bool cancel_pending) {
  struct braid_process_pool *pool = of(common);
  braid_process_pool_lock(pool);
  pool->closed = true;
  if (cancel_pending) braid_process_pool_end_queued(pool, false);
  braid_process_pool_ask(pool);
  braid_process_pool_unlock(pool);
}

static void stop(struct braid_pool *common) {
  braid_process_pool_lock(of(common));
  of(common)->stopping = true;
  braid_process_pool_ask(of(common));
  braid_process_pool_unlock(of(common));
}

static void kill_workers(struct braid_pool *common) {
  braid_process_pool_lock(of(common));
  of(common)->killing = true;
  braid_process_pool_ask(of(common));
  braid_process_pool_unlock(of(common));
}

static size_t queued(struct braid_pool *common) { return braid_dispatch_queued(&of(common)->dispatch); }

static size_t running(struct braid_pool *common) { return braid_dispatch_begun(&of(common)->dispatch); }

static unsigned pids(struct braid_pool *common, int *numbers, unsigned room) {
  struct braid_process_pool *pool = of(common);
  unsigned count = 0;
  for (unsigned i = 0; i < pool->dispatch.count && count < room; i++) {
    int pid = atomic_load(&pool->workers[i].pid);
    if (pid) numbers[count++] = pid;
  }
  return count;
}

static unsigned begun(struct braid_pool *common, struct braid_begun *list, unsigned room) {
  struct braid_process_pool *pool = of(common);
  unsigned count = 0;
  braid_process_pool_lock(pool);
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    count += braid_worker_handle_list_begun(&pool->workers[i], list + count, room - count);
  braid_process_pool_unlock(pool);
  return count;
}

static void destroy(struct braid_pool *common) {
  struct braid_process_pool *pool = of(common);
  for (unsigned i = 0; i < pool->dispatch.count; i++) braid_worker_handle_term(&pool->workers[i]);
  braid_process_plan_free(&pool->plan);
  braid_pool_term(common);
  free(pool);
}

static const struct braid_pool_kind kind = {.apart = true,
                                            .submit = submit,
                                            .cancel = cancel,
                                            .close = close_pool,
                                            .stop = stop,
                                            .kill = kill_workers,
                                            .queued = queued,
                                            .running = running,
                                            .pids = pids,
                                            .begun = begun,
                                            .destroy = destroy};

struct braid_pool *braid_process_pool_new(unsigned count, struct braid_process_plan plan) {
  struct braid_process_pool *pool = calloc(1, sizeof *pool + count * sizeof *pool->workers);
  if (!pool) {
    braid_process_plan_free(&plan);
    return NULL;
  }
  braid_pool_init(&pool->pool, &kind);
  braid_dispatch_init(&pool->dispatch, pool->workers, count, plan.tasks);
  pool->plan = plan;
  pool->alarm.fire = on_alarm;
  pool->pool.lookout.look = look_for_replies;
  unsigned slots = braid_dispatch_slots(plan.tasks);
  bool done = true;
  for (unsigned i = 0; i < count; i++) done = braid_worker_handle_init(&pool->workers[i], pool, i, slots) && done;
  if (!done) errno = ENOMEM;
  pool->io_thread = done ? braid_io_thread_enter() : NULL;
  if (!pool->io_thread) {
    int error = errno;
    braid_object_unref(&pool->pool.object);
    errno = error;
    return NULL;
  }
  pool->pool.alive = count;
  braid_object_ref(&pool->pool.object); /* for the workers */
  braid_errand_init(&pool->errand, pool->io_thread, look);
  braid_errand_send(&pool->errand);
  return &pool->pool;
}
