/* SPDX-License-Identifier: MIT
 * The life of the pool and its workers. It starts processes, takes in replies and replaces workers that died, all on
 * the I/O thread. dispatch.c decides which worker gets which job.
 *
 * Reference-counted: the submitter's userdata holds a reference, and the workers together hold one. The pool's mutex
 * protects `dispatch`, `closed`, `over`, `stopping`, `killing` and `next_tick`; all other fields are for the I/O
 * thread, or never change. */
#include "core/process/process_pool.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/process/dispatch.h"
#include "core/process/marshal.h"

enum {
  TICK = 2 * 1000 * 1000,        /* ns in which a worker with jobs in advance must reply; else it is stuck */
  FIRST_TICK = 20 * 1000 * 1000, /* ns until the first check whether a sent job has begun */
  SLOW_TICK = 100 * 1000 * 1000,
  MOST_ATTEMPTS = 10,    /* of one job: workers that may die before they begin it */
  ONE_FAILED_START = 16, /* see count_failed_start */
  ONE_SILENT_START = 4,  /* also of one that a signal killed before it had answered once */
  MOST_FAILED_STARTS = 32,
  MOST_REFUSALS = 30 /* by the system, to start a process; one try for each slow tick */
};

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

static struct braid_process_pool *of(struct braid_pool *pool) {
  return braid_container(pool, struct braid_process_pool, pool);
}

static void lock(struct braid_process_pool *pool) { pthread_mutex_lock(&pool->pool.mutex); }
static void unlock(struct braid_process_pool *pool) { pthread_mutex_unlock(&pool->pool.mutex); }

/* Has the I/O thread run `look`. Under the mutex. */
static void ask_io_thread(struct braid_process_pool *pool) {
  if (!pool->over) braid_errand_send(&pool->errand);
}

/* ---- end of jobs: under the mutex ----------------------------------------------------------------------------- */

static void end_job(struct braid_process_pool *pool, struct braid_job *job, enum braid_job_outcome outcome) {
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
  end_job(pool, job, failure ? BRAID_JOB_FAILED : BRAID_JOB_DIED);
}

/* Ends all jobs that no worker has begun. */
static void end_queued(struct braid_process_pool *pool, bool broken) {
  struct braid_job *job;
  braid_dispatch_recall_all(&pool->dispatch);
  while ((job = braid_dispatch_pop(&pool->dispatch))) {
    if (broken)
      end_broken(pool, job);
    else
      end_job(pool, job, BRAID_JOB_CANCELLED);
  }
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

/* ---- a broken pool, and the end of a pool: the I/O thread ----------------------------------------------------- */

/* Takes over `failure`, which may be NULL. */
static void break_pool(struct braid_process_pool *pool, struct braid_message *failure, int death, int error) {
  struct braid_pool *common = &pool->pool;
  lock(pool);
  if (common->failure || common->dead) {
    if (failure) braid_message_unref(failure);
  } else {
    common->failure = failure;
    common->dead = !failure;
    common->death = death;
    common->error = error;
  }
  pool->closed = true;
  end_queued(pool, true);
  ask_io_thread(pool);
  unlock(pool);
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

/* Runs when the last worker has ended. */
static void end_pool(struct braid_process_pool *pool) {
  lock(pool);
  pool->over = true;
  unlock(pool);
  braid_alarm_stop(&pool->io_thread->loop, &pool->alarm);
  braid_errand_recall(&pool->errand);
  braid_io_thread_leave(pool->io_thread);
}

static void lose(struct braid_process_pool *pool) {
  bool last = pool->pool.alive == 1; /* only this thread changes it */
  if (last) end_pool(pool);
  braid_pool_lose_worker(&pool->pool);
  if (last) braid_object_unref(&pool->pool.object);
}

/* ---- life of a worker: the I/O thread ------------------------------------------------------------------------- */

static struct braid_worker_handle *worker_of(struct braid_connection *connection) {
  return braid_container(connection, struct braid_worker_handle, connection);
}

/* Ends the job and takes over the reply. error: why the reply that was sent could not be read; 0: nothing was lost.
 * Under the mutex. */
static void take_reply(struct braid_worker_handle *worker, struct braid_job *job, const struct braid_frame *frame,
                       struct braid_reply reply, int error) {
  struct braid_process_pool *pool = worker->pool;
  bool refused = frame->status == BRAID_JOB_NOT_TAKEN;
  uint64_t busy = refused ? 0 : frame->value;
  braid_dispatch_learn(&pool->dispatch, (int64_t)busy);
  pool->pool.stats.bytes_in += job->call->size;
  pool->pool.stats.busy += busy;
  job->reply = reply.message;
  job->result = reply.result;
  pool->pool.stats.bytes_out += braid_job_reply_size(job);
  job->error = refused ? (int)frame->value : error;
  job->busy = (int64_t)busy;
  job->ended = braid_clock_now();
  job->pid = atomic_load(&worker->pid);
  end_job(pool, job, error ? BRAID_JOB_REPLY_LOST : (enum braid_job_outcome)frame->status);
}

/* Reads the only result, which may be the body. False: the body is something else. */
static bool read_result(const struct braid_frame *frame, const char *body, struct braid_item *result) {
  struct braid_wire_item wire;
  if (frame->size == 0) return true;
  if (frame->size != sizeof wire || frame->status != BRAID_JOB_DONE) return false;
  memcpy(&wire, body, sizeof wire);
  *result = (struct braid_item){wire.bits, (uint8_t)wire.tag};
  return wire.tag >= BRAID_ITEM_FALSE && wire.tag <= BRAID_ITEM_NUMBER;
}

static void on_reply(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_worker_handle *worker = worker_of(connection);
  struct braid_process_pool *pool = worker->pool;
  bool begun = frame->status != BRAID_JOB_RECALLED, has_reply = begun && frame->has_message;
  if (begun && frame->status > BRAID_JOB_CANCELLED && frame->status != BRAID_JOB_NOT_TAKEN) {
    braid_connection_fail(connection, "a reply has an outcome that no job has");
    return;
  }
  struct braid_reply reply = {.message = has_reply ? braid_connection_message(connection, frame, body, 0) : NULL};
  int error = has_reply && !reply.message ? errno : 0;
  if (error == EBADMSG || (!has_reply && !read_result(frame, body, &reply.result))) {
    braid_connection_fail(connection, "a reply is not sound");
    return;
  }
  lock(pool);
  struct braid_job *job = braid_worker_handle_release(worker, frame->id);
  worker->replies++;
  worker->stuck = false;
  if (job && begun)
    take_reply(worker, job, frame, reply, error);
  else if (job && job->stopped)
    end_job(pool, job, BRAID_JOB_CANCELLED);
  else if (job)
    braid_dispatch_return(&pool->dispatch, job);
  if (pool->dispatch.pending_count > 0 || pool->closed || worker->in_flight == 0) ask_io_thread(pool);
  unlock(pool);
  if (!job && reply.message) braid_message_unref(reply.message);
}

static void be_ready(struct braid_worker_handle *worker) {
  lock(worker->pool);
  worker->ready = true;
  ask_io_thread(worker->pool);
  unlock(worker->pool);
}

static void on_ready(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  struct braid_worker_handle *worker = worker_of(connection);
  worker->pool->proven = true;
  worker->refusals = worker->pool->failed_starts = 0;
  be_ready(worker);
}

static void on_pong(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  struct braid_worker_handle *worker = worker_of(connection);
  worker->heard = true;
  worker->asked = false;
}

static void on_failed(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_worker_handle *worker = worker_of(connection);
  if (!frame->has_message) {
    worker->shortage = frame->value > 0 && frame->value < INT_MAX ? (int)frame->value : ENOMEM;
    return;
  }
  struct braid_message *failure = braid_connection_message(connection, frame, body, 0);
  int error = failure ? 0 : errno;
  be_ready(worker); /* a later death is not a death in its init */
  break_pool(worker->pool, failure, 0, error);
}

/* The worker has closed its socket, so it ends soon, or must be made to. A worker whose connection has failed is of no
 * use any more: it is killed at once. */
static void on_connection_ended(struct braid_connection *connection) {
  struct braid_worker_handle *worker = worker_of(connection);
  if (connection->fault && worker->child) braid_child_kill(worker->child, SIGKILL);
  lock(worker->pool);
  worker->usable = false;
  if (!worker->doomed) worker->doomed = braid_clock_now();
  ask_io_thread(worker->pool);
  unlock(worker->pool);
}

/* A worker has died. The jobs that it had begun are lost; the others return to the list. Under the mutex. */
static void take_jobs_back(struct braid_process_pool *pool, struct braid_worker_handle *worker, int status, int pid) {
  struct braid_job *job;
  bool alone = worker->in_flight == 1;
  while ((job = braid_worker_handle_recall(worker))) {
    job->death = status;
    job->fault = worker->connection.fault;
    job->pid = pid;
    if (alone && worker->ready && ++job->attempts > MOST_ATTEMPTS)
      end_job(pool, job, BRAID_JOB_DIED);
    else
      braid_dispatch_return(&pool->dispatch, job);
  }
  for (unsigned i = 0; i < worker->slots && worker->in_flight > 0; i++) {
    if (!worker->jobs[i]) continue;
    enum braid_job_outcome fate = braid_worker_handle_fate(worker, worker->jobs[i], pool->plan.time_limit);
    job = braid_worker_handle_release(worker, worker->jobs[i]->ticket);
    job->death = status;
    job->fault = worker->connection.fault;
    job->pid = pid;
    end_job(pool, job, fate);
  }
}

/* Whether the pool must be given up, because workers die before they are ready again and again. A worker that was
 * killed from outside counts little. So does one that a signal killed before it had answered: its init had not begun,
 * and most likely the signal came from outside, too. */
static bool count_failed_start(struct braid_process_pool *pool, const struct braid_worker_handle *worker, int status) {
  bool killed = status != BRAID_CHILD_UNKNOWN && WIFSIGNALED(status);
  bool from_outside = killed && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
  bool early = worker->silent || (killed && !worker->heard);
  pool->failed_starts += from_outside && !worker->silent ? 1 : early ? ONE_SILENT_START : ONE_FAILED_START;
  return pool->failed_starts >= MOST_FAILED_STARTS;
}

static void start_worker(struct braid_worker_handle *worker);
static void handle_refusal(struct braid_worker_handle *worker, int error);

/* Whether a worker that has ended must be replaced. Under the mutex. */
static bool is_needed(const struct braid_process_pool *pool) {
  return !pool->closed || pool->dispatch.pending_count > 0;
}

static void on_child_ended(struct braid_errand *errand) {
  struct braid_worker_handle *worker = braid_container(errand, struct braid_worker_handle, ended);
  struct braid_process_pool *pool = worker->pool;
  int status = worker->child->status, pid = worker->child->pid;
  braid_connection_read_rest(&worker->connection); /* what it had sent before its death counts */
  braid_marshal_end(&worker->connection);          /* before anybody learns of its death */
  int shortage = worker->ready ? 0 : worker->shortage ? worker->shortage : worker->connection.shortage;
  bool hopeless = !worker->ready && !worker->told && !shortage && count_failed_start(pool, worker, status);
  lock(pool);
  worker->usable = false;
  take_jobs_back(pool, worker, status, pid);
  bool needed = !hopeless && is_needed(pool);
  ask_io_thread(pool);
  unlock(pool);
  braid_worker_handle_close(worker); /* nobody else knows its connection now */
  if (hopeless) break_pool(pool, NULL, status, 0);
  if (!needed)
    lose(pool);
  else if (shortage)
    handle_refusal(worker, shortage);
  else
    start_worker(worker);
}

static void wait_for_end(struct braid_worker_handle *worker) {
  braid_errand_init(&worker->ended, worker->pool->io_thread, on_child_ended);
  braid_waiter_arm(&worker->ended.waiter);
  if (braid_child_wait(worker->child, &worker->ended.waiter.node) == BRAID_WAIT) return;
  braid_waiter_claim(&worker->ended.waiter, BRAID_OK);
  braid_errand_send(&worker->ended);
}

static bool has_others(const struct braid_process_pool *pool, const struct braid_worker_handle *worker) {
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    if (&pool->workers[i] != worker && pool->workers[i].child) return true;
  return false;
}

/* A worker could not start. Memory, descriptors or processes may become free. So it is tried again at each tick:
 * without limit while other workers run, else for some seconds, and only if a worker has been ready before. */
static void handle_refusal(struct braid_worker_handle *worker, int error) {
  struct braid_process_pool *pool = worker->pool;
  if (has_others(pool, worker) || (pool->proven && ++worker->refusals <= MOST_REFUSALS)) {
    lock(pool);
    worker->again = true;
    ask_io_thread(pool);
    unlock(pool);
    return;
  }
  break_pool(pool, NULL, 0, error);
  lose(pool);
}

static void start_worker(struct braid_worker_handle *worker) {
  struct braid_process_pool *pool = worker->pool;
  worker->told = worker->heard = worker->silent = false;
  worker->doomed = worker->overdue = 0;
  worker->killed = worker->shortage = 0;
  worker->signs = 0;
  int error = braid_worker_handle_start(worker, pool->io_thread, &pool->plan);
  if (error) {
    handle_refusal(worker, error);
    return;
  }
  worker->connection.ended = on_connection_ended;
  braid_connection_handle(&worker->connection, BRAID_FRAME_REPLY, on_reply);
  braid_connection_handle(&worker->connection, BRAID_FRAME_READY, on_ready);
  braid_connection_handle(&worker->connection, BRAID_FRAME_FAILED, on_failed);
  braid_connection_handle(&worker->connection, BRAID_FRAME_PONG, on_pong);
  wait_for_end(worker);
  lock(pool);
  worker->usable = true;
  worker->ready = worker->stuck = false;
  worker->waiting = 0;
  ask_io_thread(pool);
  unlock(pool);
}

/* Tries again to start the workers that the system refused. */
static void start_again(struct braid_process_pool *pool) {
  for (unsigned i = 0; i < pool->dispatch.count; i++) {
    struct braid_worker_handle *worker = &pool->workers[i];
    if (!worker->again) continue;
    worker->again = false;
    lock(pool);
    bool needed = is_needed(pool);
    unlock(pool);
    if (needed)
      start_worker(worker);
    else
      lose(pool);
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
  lock(pool);
  pool->next_tick = 0;
  for (unsigned i = 0; i < pool->dispatch.count; i++) look_after(pool, &pool->workers[i], now, elapsed);
  unlock(pool);
  start_again(pool);
  lock(pool);
  ask_io_thread(pool);
  unlock(pool);
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
    for (unsigned i = 0; i < pool->dispatch.count; i++) start_worker(&pool->workers[i]);
  }
  lock(pool);
  if (!pool->over) {
    braid_dispatch_hand_out(&pool->dispatch);
    for (unsigned i = 0; pool->stopping && i < pool->dispatch.count; i++)
      braid_worker_handle_stop_all(&pool->workers[i]);
    if (pool->killing) kill_all(pool);
    say_good_bye(pool);
    tick_on(pool);
  }
  unlock(pool);
  braid_object_unref(&pool->pool.object);
}

/* ---- public functions ----------------------------------------------------------------------------------------- */

static enum braid_status submit(struct braid_pool *common, struct braid_job *job) {
  struct braid_process_pool *pool = of(common);
  lock(pool);
  bool closed = pool->closed;
  if (!closed) braid_pool_admit(common);
  bool given = !closed && braid_dispatch_submit(&pool->dispatch, job);
  bool first = pool->dispatch.pending_count == 1; /* its workers may be frozen in their init */
  if ((given || first) && !pool->next_tick) ask_io_thread(pool); /* it sets the tick that looks after them */
  unlock(pool);
  return closed ? BRAID_CLOSED : BRAID_OK;
}

static bool cancel(struct braid_pool *common, struct braid_job *job) {
  struct braid_process_pool *pool = of(common);
  bool found = true;
  lock(pool);
  struct braid_job_flag *flag = atomic_load(&job->flag);
  if (braid_dispatch_remove(&pool->dispatch, job)) {
    end_job(pool, job, BRAID_JOB_CANCELLED);
  } else if (flag && braid_job_flag_take(flag, job->ticket, BRAID_JOB_FLAG_NONE)) {
    braid_worker_handle_release(job->worker_handle, job->ticket);
    end_job(pool, job, BRAID_JOB_CANCELLED);
  } else if (flag) {
    if (!atomic_load(&job->stop)) braid_worker_handle_stop(job);
  } else {
    found = false;
  }
  ask_io_thread(pool);
  unlock(pool);
  return found;
}

static void close_pool(struct braid_pool *common, bool cancel_pending) {
  struct braid_process_pool *pool = of(common);
  lock(pool);
  pool->closed = true;
  if (cancel_pending) end_queued(pool, false);
  ask_io_thread(pool);
  unlock(pool);
}

static void stop(struct braid_pool *common) {
  lock(of(common));
  of(common)->stopping = true;
  ask_io_thread(of(common));
  unlock(of(common));
}

static void kill_workers(struct braid_pool *common) {
  lock(of(common));
  of(common)->killing = true;
  ask_io_thread(of(common));
  unlock(of(common));
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
  lock(pool);
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    count += braid_worker_handle_list_begun(&pool->workers[i], list + count, room - count);
  unlock(pool);
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
