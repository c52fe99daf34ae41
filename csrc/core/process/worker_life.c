/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/process/worker_life.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/inspect/deadlocks.h"
#include "core/process/marshal.h"
#include "core/process/object_table.h"

enum {
  MOST_ATTEMPTS = 10,    /* of one job: workers that may die before they begin it */
  ONE_FAILED_START = 16, /* see count_failed_start */
  ONE_SILENT_START = 4,  /* also of one that a signal killed before it had answered once */
  MOST_FAILED_STARTS = 32,
  MOST_REFUSALS = 30 /* by the system, to start a process; one try for each slow tick */
};

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
  braid_process_pool_end_job(pool, job, error ? BRAID_JOB_REPLY_LOST : (enum braid_job_outcome)frame->status);
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
  braid_process_pool_lock(pool);
  struct braid_job *job = braid_worker_handle_release(worker, frame->id);
  worker->replies++;
  worker->stuck = false;
  if (job && begun)
    take_reply(worker, job, frame, reply, error);
  else if (job && job->stopped)
    braid_process_pool_end_job(pool, job, BRAID_JOB_CANCELLED);
  else if (job)
    braid_dispatch_return(&pool->dispatch, job);
  bool idle = worker->in_flight == 0 && braid_dispatch_has_more(&pool->dispatch);
  if (pool->dispatch.pending_count > 0 || pool->closed || idle) braid_process_pool_ask(pool);
  braid_process_pool_unlock(pool);
  if (!job && reply.message) braid_message_unref(reply.message);
}

static void be_ready(struct braid_worker_handle *worker) {
  braid_process_pool_lock(worker->pool);
  worker->ready = true;
  braid_process_pool_ask(worker->pool);
  braid_process_pool_unlock(worker->pool);
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

static void on_suspect(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)connection, (void)frame, (void)body;
  braid_deadlocks_suspect(true);
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
  braid_process_pool_break(worker->pool, failure, 0, error);
}

/* The worker has closed its socket, so it ends soon, or must be made to. A worker whose connection has failed is of no
 * use any more: it is killed at once. */
static void on_connection_ended(struct braid_connection *connection) {
  struct braid_worker_handle *worker = worker_of(connection);
  if (connection->fault && worker->child) braid_child_kill(worker->child, SIGKILL);
  braid_process_pool_lock(worker->pool);
  worker->usable = false;
  if (!worker->doomed) worker->doomed = braid_clock_now();
  braid_process_pool_ask(worker->pool);
  braid_process_pool_unlock(worker->pool);
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
      braid_process_pool_end_job(pool, job, BRAID_JOB_DIED);
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
    braid_process_pool_end_job(pool, job, fate);
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
  braid_process_pool_lock(pool);
  worker->usable = false;
  take_jobs_back(pool, worker, status, pid);
  bool needed = !hopeless && is_needed(pool);
  braid_process_pool_ask(pool);
  braid_process_pool_unlock(pool);
  braid_worker_handle_close(worker); /* nobody else knows its connection now */
  if (hopeless) braid_process_pool_break(pool, NULL, status, 0);
  if (!needed)
    braid_process_pool_lose(pool);
  else if (shortage)
    handle_refusal(worker, shortage);
  else
    braid_worker_life_begin(worker);
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

/* Ends all jobs that wait, because there is no worker for them. Under the mutex. */
static void end_unserved(struct braid_process_pool *pool, int error) {
  struct braid_job *job;
  while ((job = braid_dispatch_pop(&pool->dispatch))) {
    job->error = error;
    braid_process_pool_end_job(pool, job, BRAID_JOB_NO_WORKER);
  }
}

/* A worker could not start. Memory, descriptors or processes may become free. So it is tried again at each tick. If no
 * other worker runs for some seconds, jobs fail. The pool breaks only if none of its workers was ever ready. */
static void handle_refusal(struct braid_worker_handle *worker, int error) {
  struct braid_process_pool *pool = worker->pool;
  bool others = has_others(pool, worker);
  if (others || pool->proven) {
    if (!others && worker->refusals <= MOST_REFUSALS) worker->refusals++;
    braid_process_pool_lock(pool);
    worker->again = true;
    if (!others && worker->refusals > MOST_REFUSALS) end_unserved(pool, error);
    braid_process_pool_ask(pool);
    braid_process_pool_unlock(pool);
    return;
  }
  braid_process_pool_break(pool, NULL, 0, error);
  braid_process_pool_lose(pool);
}

void braid_worker_life_begin(struct braid_worker_handle *worker) {
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
  struct braid_object_table *table = worker->connection.objects;
  atomic_store(&table->process, atomic_load(&worker->pid));
  worker->connection.ended = on_connection_ended;
  braid_connection_handle(&worker->connection, BRAID_FRAME_REPLY, on_reply);
  braid_connection_handle(&worker->connection, BRAID_FRAME_READY, on_ready);
  braid_connection_handle(&worker->connection, BRAID_FRAME_FAILED, on_failed);
  braid_connection_handle(&worker->connection, BRAID_FRAME_PONG, on_pong);
  braid_connection_handle(&worker->connection, BRAID_FRAME_SUSPECT, on_suspect);
  wait_for_end(worker);
  braid_process_pool_lock(pool);
  worker->usable = true;
  worker->ready = worker->stuck = false;
  worker->waiting = 0;
  braid_process_pool_ask(pool);
  braid_process_pool_unlock(pool);
}

void braid_worker_life_try_again(struct braid_process_pool *pool) {
  for (unsigned i = 0; i < pool->dispatch.count; i++) {
    struct braid_worker_handle *worker = &pool->workers[i];
    if (!worker->again) continue;
    worker->again = false;
    braid_process_pool_lock(pool);
    bool needed = is_needed(pool);
    braid_process_pool_unlock(pool);
    if (needed)
      braid_worker_life_begin(worker);
    else
      braid_process_pool_lose(pool);
  }
}
