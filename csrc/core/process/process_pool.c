/* SPDX-License-Identifier: MIT
 * The life of the workers and of the pool: processes are started, replies taken in, those that have died replaced, all
 * of it on the broker's thread. Which of them gets which job is the dispatch's business.
 *
 * Owned by its references: the submitter's box holds one, and its workers one. What is below `dispatch` is guarded by
 * the pool's mutex, the alarm and the errand's run are the broker's thread's. */
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
  TICK = 2 * 1000 * 1000,        /* ns: a worker with jobs ahead that has not replied for so long is stuck */
  FIRST_TICK = 20 * 1000 * 1000, /* so soon it is seen whether what was sent has begun */
  SLOW_TICK = 100 * 1000 * 1000,
  MOST_ATTEMPTS = 10,    /* workers that a job may see die before it begins */
  ONE_FAILED_START = 16, /* see count_failed_start */
  ONE_SILENT_START = 4,
  MOST_FAILED_STARTS = 32,
  MOST_REFUSALS = 30 /* of the system to start a process, one after each slow tick */
};

struct braid_process_pool {
  struct braid_pool pool;
  struct braid_broker *broker;
  struct braid_process_plan plan;
  struct braid_errand errand; /* looks what is to be done */
  struct braid_alarm alarm;
  bool started, proven; /* proven: a worker was ready once */

  struct braid_dispatch dispatch;
  bool closed, over; /* over: all workers have ended, the broker is not there for us any more */
  bool stopping, killing;
  int64_t next_tick, last_tick; /* 0: none is to come */
  int failed_starts;
  struct braid_peer peers[];
};

static struct braid_process_pool *of(struct braid_pool *pool) {
  return braid_container(pool, struct braid_process_pool, pool);
}

static void lock(struct braid_process_pool *pool) { pthread_mutex_lock(&pool->pool.mutex); }
static void unlock(struct braid_process_pool *pool) { pthread_mutex_unlock(&pool->pool.mutex); }

/* Under the mutex: the broker looks what is to be done. */
static void ask_broker(struct braid_process_pool *pool) {
  if (!pool->over) braid_errand_send(&pool->errand);
}

/* ---- how jobs end: under the mutex ---------------------------------------------------------------------------- */

static void end_job(struct braid_process_pool *pool, struct braid_job *job, enum braid_job_outcome outcome) {
  job->outcome = (uint8_t)outcome;
  atomic_store(&job->state, BRAID_JOB_ENDED);
  braid_pool_bring_home(&pool->pool, job);
  braid_job_unref(job);
}

/* Because of which the pool is given up. */
static void end_broken(struct braid_process_pool *pool, struct braid_job *job) {
  struct braid_message *failure = pool->pool.failure;
  if (failure) braid_message_ref(failure);
  job->reply = failure;
  job->death = pool->pool.death;
  job->pid = 0; /* no process had it in the end */
  end_job(pool, job, failure ? BRAID_JOB_FAILED : BRAID_JOB_DIED);
}

/* Ends what is queued and what no worker has begun. */
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

/* ---- now and then: the broker's thread ------------------------------------------------------------------------ */

/* Whether something depends on this worker, and it may be frozen: it has not begun what it was sent, is not ready while
 * jobs wait, or is to end. Under the mutex. */
static bool is_suspect(const struct braid_process_pool *pool, const struct braid_peer *peer) {
  if (pool->closed || peer->waiting) return true;
  return pool->dispatch.pending_count > 0 && (!peer->ready || (peer->stuck && peer->in_flight == 0));
}

/* How long until it is worth another look at this worker; 0: never. Under the mutex. */
static int64_t pause_of(const struct braid_process_pool *pool, const struct braid_peer *peer) {
  if (peer->in_flight > pool->plan.tasks) return TICK;
  if (!peer->waiting && braid_peer_waiting(peer)) return FIRST_TICK;
  bool due = peer->again || peer->doomed || (pool->plan.time_limit && peer->in_flight);
  return due || is_suspect(pool, peer) || braid_peer_deadline(peer, pool->plan.time_limit) ? SLOW_TICK : 0;
}

/* The next look comes as soon as one of them wants it. Under the mutex. */
static void tick_on(struct braid_process_pool *pool) {
  int64_t first = 0;
  for (unsigned i = 0; i < pool->dispatch.count; i++) {
    int64_t pause = pause_of(pool, &pool->peers[i]);
    if (pause && (!first || pause < first)) first = pause;
  }
  if (!first) return;
  int64_t next = braid_clock_now() + first;
  if (pool->next_tick && pool->next_tick <= next) return;
  pool->next_tick = braid_alarm_start(&pool->broker->loop, &pool->alarm, next) ? next : 0;
}

/* ---- the pool breaks, or ends: the broker's thread ------------------------------------------------------------ */

/* Takes over the failure, if there is one. */
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
  ask_broker(pool);
  unlock(pool);
}

/* Nothing is left to do: the workers are told so. Under the mutex. */
static void say_good_bye(struct braid_process_pool *pool) {
  struct braid_frame bye = {.kind = BRAID_FRAME_BYE};
  if (!pool->closed || pool->dispatch.pending_count > 0) return;
  for (unsigned i = 0; i < pool->dispatch.count; i++) {
    struct braid_peer *peer = &pool->peers[i];
    if (!peer->usable || peer->in_flight > 0) continue;
    peer->usable = false;
    peer->told = true;
    peer->doomed = braid_clock_now();
    braid_link_put(&peer->link, bye, NULL, 0);
    braid_link_flush(&peer->link);
  }
}

/* The last worker has ended. */
static void end_pool(struct braid_process_pool *pool) {
  lock(pool);
  pool->over = true;
  unlock(pool);
  braid_alarm_stop(&pool->broker->loop, &pool->alarm);
  braid_errand_recall(&pool->errand);
  braid_broker_leave(pool->broker);
}

static void lose(struct braid_process_pool *pool) {
  bool last = pool->pool.alive == 1; /* only this thread changes it */
  if (last) end_pool(pool);
  braid_pool_lose_worker(&pool->pool);
  if (last) braid_object_unref(&pool->pool.object);
}

/* ---- the life of a worker: the broker's thread ---------------------------------------------------------------- */

static struct braid_peer *peer_of(struct braid_link *link) { return braid_container(link, struct braid_peer, link); }

/* Under the mutex; takes over the reply. error: why there is none, though one was sent; 0: it is there. */
static void take_reply(struct braid_peer *peer, struct braid_job *job, const struct braid_frame *frame,
                       struct braid_message *reply, int error) {
  struct braid_process_pool *pool = peer->pool;
  bool refused = frame->status == BRAID_JOB_NOT_TAKEN;
  uint64_t busy = refused ? 0 : frame->value;
  braid_dispatch_learn(&pool->dispatch, (int64_t)busy);
  pool->pool.stats.bytes_in += job->call->size;
  pool->pool.stats.bytes_out += reply ? reply->size : 0;
  pool->pool.stats.busy += busy;
  job->reply = reply;
  job->error = refused ? (int)frame->value : error;
  job->busy = (int64_t)busy;
  job->ended = braid_clock_now();
  job->pid = atomic_load(&peer->pid);
  end_job(pool, job, error ? BRAID_JOB_REPLY_LOST : (enum braid_job_outcome)frame->status);
}

static void on_reply(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_peer *peer = peer_of(link);
  struct braid_process_pool *pool = peer->pool;
  bool begun = frame->status != BRAID_JOB_RECALLED, has_reply = begun && frame->has_message;
  if (begun && frame->status > BRAID_JOB_CANCELLED && frame->status != BRAID_JOB_NOT_TAKEN) {
    braid_link_fail(link, "a reply has an outcome that no job has");
    return;
  }
  struct braid_message *reply = has_reply ? braid_link_message(link, frame, body, 0) : NULL;
  int error = has_reply && !reply ? errno : 0;
  if (error == EBADMSG) {
    braid_link_fail(link, "a reply is not sound");
    return;
  }
  lock(pool);
  struct braid_job *job = braid_peer_release(peer, frame->id);
  peer->replies++;
  peer->stuck = false;
  if (job && begun)
    take_reply(peer, job, frame, reply, error);
  else if (job && job->stopped)
    end_job(pool, job, BRAID_JOB_CANCELLED);
  else if (job)
    braid_dispatch_return(&pool->dispatch, job);
  if (pool->dispatch.pending_count > 0 || pool->closed || peer->in_flight == 0) ask_broker(pool);
  unlock(pool);
  if (!job && reply) braid_message_unref(reply);
}

static void be_ready(struct braid_peer *peer) {
  lock(peer->pool);
  peer->ready = true;
  ask_broker(peer->pool);
  unlock(peer->pool);
}

static void on_ready(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  struct braid_peer *peer = peer_of(link);
  peer->pool->proven = true;
  peer->refusals = peer->pool->failed_starts = 0;
  be_ready(peer);
}

static void on_pong(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  struct braid_peer *peer = peer_of(link);
  peer->heard = true;
  peer->asked = false;
}

static void on_failed(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_peer *peer = peer_of(link);
  if (!frame->has_message) {
    peer->shortage = frame->value > 0 && frame->value < INT_MAX ? (int)frame->value : ENOMEM;
    return;
  }
  struct braid_message *failure = braid_link_message(link, frame, body, 0);
  int error = failure ? 0 : errno;
  be_ready(peer); /* what kills it from here on is not its init */
  break_pool(peer->pool, failure, 0, error);
}

/* The socket is closed at the other end: then the process is about to end, or must be made to. Nobody speaks any more
 * with one whose link has failed: it is ended at once. */
static void on_link_ended(struct braid_link *link) {
  struct braid_peer *peer = peer_of(link);
  if (link->fault && peer->child) braid_child_kill(peer->child, SIGKILL);
  lock(peer->pool);
  peer->usable = false;
  if (!peer->doomed) peer->doomed = braid_clock_now();
  ask_broker(peer->pool);
  unlock(peer->pool);
}

/* When it has died: the job that it may have begun is lost, the others go to other workers. Under the mutex. */
static void take_jobs_back(struct braid_process_pool *pool, struct braid_peer *peer, int status, int pid) {
  struct braid_job *job;
  bool alone = peer->in_flight == 1;
  while ((job = braid_peer_recall(peer))) {
    job->death = status;
    job->fault = peer->link.fault;
    job->pid = pid;
    if (alone && peer->ready && ++job->attempts > MOST_ATTEMPTS)
      end_job(pool, job, BRAID_JOB_DIED);
    else
      braid_dispatch_return(&pool->dispatch, job);
  }
  for (unsigned i = 0; i < peer->slots && peer->in_flight > 0; i++) {
    if (!peer->jobs[i]) continue;
    enum braid_job_outcome fate = braid_peer_fate(peer, peer->jobs[i], pool->plan.time_limit);
    job = braid_peer_release(peer, peer->jobs[i]->ticket);
    job->death = status;
    job->fault = peer->link.fault;
    job->pid = pid;
    end_job(pool, job, fate);
  }
}

/* A worker that dies again and again before it is ready will always do so. Being killed from outside counts little. */
static bool count_failed_start(struct braid_process_pool *pool, const struct braid_peer *peer, int status) {
  bool killed = status != BRAID_CHILD_UNKNOWN && WIFSIGNALED(status);
  bool from_outside = killed && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
  pool->failed_starts += peer->silent ? ONE_SILENT_START : from_outside ? 1 : ONE_FAILED_START;
  return pool->failed_starts >= MOST_FAILED_STARTS;
}

static void start_peer(struct braid_peer *peer);
static void handle_refusal(struct braid_peer *peer, int error);

/* Whether workers that have ended are to be replaced. Under the mutex. */
static bool is_needed(const struct braid_process_pool *pool) {
  return !pool->closed || pool->dispatch.pending_count > 0;
}

static void on_child_ended(struct braid_errand *errand) {
  struct braid_peer *peer = braid_container(errand, struct braid_peer, ended);
  struct braid_process_pool *pool = peer->pool;
  int status = peer->child->status, pid = peer->child->pid;
  braid_link_read_rest(&peer->link); /* what it had sent counts */
  braid_passport_end(&peer->link);   /* before anybody hears of its death */
  int shortage = peer->ready ? 0 : peer->shortage ? peer->shortage : peer->link.shortage;
  bool hopeless = !peer->ready && !peer->told && !shortage && count_failed_start(pool, peer, status);
  lock(pool);
  peer->usable = false;
  take_jobs_back(pool, peer, status, pid);
  bool needed = !hopeless && is_needed(pool);
  ask_broker(pool);
  unlock(pool);
  braid_peer_close(peer); /* nobody else knows its link any more */
  if (hopeless) break_pool(pool, NULL, status, 0);
  if (!needed)
    lose(pool);
  else if (shortage)
    handle_refusal(peer, shortage);
  else
    start_peer(peer);
}

static void wait_for_end(struct braid_peer *peer) {
  braid_errand_init(&peer->ended, peer->pool->broker, on_child_ended);
  braid_waiter_arm(&peer->ended.waiter);
  if (braid_child_wait(peer->child, &peer->ended.waiter.hook) == BRAID_WAIT) return;
  braid_waiter_claim(&peer->ended.waiter, BRAID_OK);
  braid_errand_send(&peer->ended);
}

static bool has_others(const struct braid_process_pool *pool, const struct braid_peer *peer) {
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    if (&pool->peers[i] != peer && pool->peers[i].child) return true;
  return false;
}

/* What is missing may come back: descriptors, memory, room for one more process. While others work it is tried again
 * and again; where none does, for some seconds, if one has before. */
static void handle_refusal(struct braid_peer *peer, int error) {
  struct braid_process_pool *pool = peer->pool;
  if (has_others(pool, peer) || (pool->proven && ++peer->refusals <= MOST_REFUSALS)) {
    lock(pool);
    peer->again = true;
    ask_broker(pool);
    unlock(pool);
    return;
  }
  break_pool(pool, NULL, 0, error);
  lose(pool);
}

static void start_peer(struct braid_peer *peer) {
  struct braid_process_pool *pool = peer->pool;
  peer->told = peer->heard = peer->silent = false;
  peer->doomed = peer->overdue = 0;
  peer->killed = peer->shortage = 0;
  peer->signs = 0;
  int error = braid_peer_start(peer, pool->broker, &pool->plan);
  if (error) {
    handle_refusal(peer, error);
    return;
  }
  peer->link.ended = on_link_ended;
  braid_link_handle(&peer->link, BRAID_FRAME_REPLY, on_reply);
  braid_link_handle(&peer->link, BRAID_FRAME_READY, on_ready);
  braid_link_handle(&peer->link, BRAID_FRAME_FAILED, on_failed);
  braid_link_handle(&peer->link, BRAID_FRAME_PONG, on_pong);
  wait_for_end(peer);
  lock(pool);
  peer->usable = true;
  peer->ready = peer->stuck = false;
  peer->waiting = 0;
  ask_broker(pool);
  unlock(pool);
}

/* Those that the system refused to start. */
static void start_again(struct braid_process_pool *pool) {
  for (unsigned i = 0; i < pool->dispatch.count; i++) {
    struct braid_peer *peer = &pool->peers[i];
    if (!peer->again) continue;
    peer->again = false;
    lock(pool);
    bool needed = is_needed(pool);
    unlock(pool);
    if (needed)
      start_peer(peer);
    else
      lose(pool);
  }
}

/* One that is frozen, most likely: what it has not begun goes elsewhere. Itself it is killed, and another takes its
 * place, when jobs wait that it could do; and with what it has begun only when the pool is to end. Under the mutex. */
static void give_up_silent(struct braid_process_pool *pool, struct braid_peer *peer) {
  bool has_begun = braid_peer_begun(peer) > 0;
  if (peer->waiting) peer->stuck = true;
  braid_dispatch_recall(&pool->dispatch, peer);
  bool missed = pool->dispatch.pending_count > 0 && !has_begun;
  if (pool->closed || missed) braid_peer_kill_silent(peer, has_begun);
}

/* Under the mutex. */
static void look_after(struct braid_process_pool *pool, struct braid_peer *peer, int64_t now, int64_t elapsed) {
  int64_t deadline = braid_peer_deadline(peer, pool->plan.time_limit);
  braid_peer_press(peer, peer->doomed ? peer->doomed : deadline, now, elapsed);
  braid_dispatch_look(&pool->dispatch, peer, now);
  if (braid_peer_is_silent(peer, is_suspect(pool, peer), now, elapsed)) give_up_silent(pool, peer);
}

static void on_alarm(struct braid_alarm *alarm) {
  struct braid_process_pool *pool = braid_container(alarm, struct braid_process_pool, alarm);
  int64_t now = braid_clock_now(), elapsed = now - pool->last_tick;
  if (elapsed > 2 * SLOW_TICK) elapsed = 2 * SLOW_TICK; /* we have been stopped, or there were no ticks */
  braid_object_ref(&pool->pool.object);                 /* the last worker may give its up */
  pool->last_tick = now;
  lock(pool);
  pool->next_tick = 0;
  for (unsigned i = 0; i < pool->dispatch.count; i++) look_after(pool, &pool->peers[i], now, elapsed);
  unlock(pool);
  start_again(pool);
  lock(pool);
  ask_broker(pool);
  unlock(pool);
  braid_object_unref(&pool->pool.object);
}

static void kill_all(struct braid_process_pool *pool) {
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    if (pool->peers[i].child) braid_child_kill(pool->peers[i].child, SIGKILL);
}

/* What is to be done: asked for by ask_broker. */
static void look(struct braid_errand *errand) {
  struct braid_process_pool *pool = braid_container(errand, struct braid_process_pool, errand);
  braid_object_ref(&pool->pool.object); /* the last worker may give its up */
  if (!pool->started) {
    pool->started = true;
    for (unsigned i = 0; i < pool->dispatch.count; i++) start_peer(&pool->peers[i]);
  }
  lock(pool);
  if (!pool->over) {
    braid_dispatch_hand_out(&pool->dispatch);
    for (unsigned i = 0; pool->stopping && i < pool->dispatch.count; i++) braid_peer_stop_all(&pool->peers[i]);
    if (pool->killing) kill_all(pool);
    say_good_bye(pool);
    tick_on(pool);
  }
  unlock(pool);
  braid_object_unref(&pool->pool.object);
}

/* ---- what others call ----------------------------------------------------------------------------------------- */

static enum braid_status submit(struct braid_pool *common, struct braid_job *job) {
  struct braid_process_pool *pool = of(common);
  lock(pool);
  bool closed = pool->closed;
  bool given = !closed && braid_dispatch_submit(&pool->dispatch, job);
  if (given && !pool->next_tick) ask_broker(pool); /* which looks whether it is begun */
  unlock(pool);
  return closed ? BRAID_CLOSED : BRAID_OK;
}

static bool cancel(struct braid_pool *common, struct braid_job *job) {
  struct braid_process_pool *pool = of(common);
  bool found = true;
  lock(pool);
  struct braid_permit *permit = atomic_load(&job->permit);
  if (braid_dispatch_remove(&pool->dispatch, job)) {
    end_job(pool, job, BRAID_JOB_CANCELLED);
  } else if (permit && braid_permit_take(permit, job->ticket, BRAID_PERMIT_NONE)) {
    braid_peer_release(job->peer, job->ticket);
    end_job(pool, job, BRAID_JOB_CANCELLED);
  } else if (permit) {
    if (!atomic_load(&job->stop)) braid_peer_stop(job);
  } else {
    found = false;
  }
  ask_broker(pool);
  unlock(pool);
  return found;
}

static void close_pool(struct braid_pool *common, bool cancel_pending) {
  struct braid_process_pool *pool = of(common);
  lock(pool);
  pool->closed = true;
  if (cancel_pending) end_queued(pool, false);
  ask_broker(pool);
  unlock(pool);
}

static void stop(struct braid_pool *common) {
  lock(of(common));
  of(common)->stopping = true;
  ask_broker(of(common));
  unlock(of(common));
}

static void kill_workers(struct braid_pool *common) {
  lock(of(common));
  of(common)->killing = true;
  ask_broker(of(common));
  unlock(of(common));
}

static size_t queued(struct braid_pool *common) { return braid_dispatch_queued(&of(common)->dispatch); }

static void complete(struct braid_pool *common, struct braid_pool_stats *stats) {
  stats->running = braid_dispatch_begun(&of(common)->dispatch);
}

static unsigned pids(struct braid_pool *common, int *numbers, unsigned room) {
  struct braid_process_pool *pool = of(common);
  unsigned count = 0;
  for (unsigned i = 0; i < pool->dispatch.count && count < room; i++) {
    int pid = atomic_load(&pool->peers[i].pid);
    if (pid) numbers[count++] = pid;
  }
  return count;
}

static unsigned begun(struct braid_pool *common, struct braid_begun *list, unsigned room) {
  struct braid_process_pool *pool = of(common);
  unsigned count = 0;
  lock(pool);
  for (unsigned i = 0; i < pool->dispatch.count; i++)
    count += braid_peer_list_begun(&pool->peers[i], list + count, room - count);
  unlock(pool);
  return count;
}

static void destroy(struct braid_pool *common) {
  struct braid_process_pool *pool = of(common);
  for (unsigned i = 0; i < pool->dispatch.count; i++) braid_peer_term(&pool->peers[i]);
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
                                            .complete = complete,
                                            .pids = pids,
                                            .begun = begun,
                                            .destroy = destroy};

struct braid_pool *braid_process_pool_new(unsigned count, struct braid_process_plan plan) {
  struct braid_process_pool *pool = calloc(1, sizeof *pool + count * sizeof *pool->peers);
  if (!pool) {
    braid_process_plan_free(&plan);
    return NULL;
  }
  braid_pool_init(&pool->pool, &kind);
  braid_dispatch_init(&pool->dispatch, pool->peers, count, plan.tasks);
  pool->plan = plan;
  pool->alarm.fire = on_alarm;
  unsigned slots = braid_dispatch_slots(plan.tasks);
  bool done = true;
  for (unsigned i = 0; i < count; i++) done = braid_peer_init(&pool->peers[i], pool, i, slots) && done;
  if (!done) errno = ENOMEM;
  pool->broker = done ? braid_broker_enter() : NULL;
  if (!pool->broker) {
    int error = errno;
    braid_object_unref(&pool->pool.object);
    errno = error;
    return NULL;
  }
  pool->pool.alive = count;
  braid_object_ref(&pool->pool.object); /* the workers' */
  braid_errand_init(&pool->errand, pool->broker, look);
  braid_errand_send(&pool->errand);
  return &pool->pool;
}
