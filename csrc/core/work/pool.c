/* SPDX-License-Identifier: MIT
 * Reference-counted: the submitter's userdata holds a reference, and so do the workers. */
#include "core/work/pool.h"

#include <sched.h>
#include <stdlib.h>

static void destroy(struct braid_object *object) {
  struct braid_pool *pool = braid_container(object, struct braid_pool, object);
  pool->kind->destroy(pool);
}

const struct braid_class braid_pool_class = {"braid.pool", destroy};

void braid_pool_init(struct braid_pool *pool, const struct braid_pool_kind *kind) {
  braid_object_init(&pool->object, &braid_pool_class);
  braid_object_share(&pool->object);
  pool->kind = kind;
  braid_list_init(&pool->sibling);
  braid_wait_queue_init(&pool->ended, &pool->object.guard);
  braid_guard_init(&pool->rest_guard, true);
  braid_wait_queue_init(&pool->resting, &pool->rest_guard);
  pthread_mutex_init(&pool->mutex, NULL);
  braid_thread_condition_init(&pool->worker_ended);
}

void braid_pool_term(struct braid_pool *pool) {
  if (pool->failure) braid_message_unref(pool->failure);
  if (pool->tally) braid_tally_close(pool->tally);
  braid_guard_term(&pool->rest_guard);
  pthread_cond_destroy(&pool->worker_ended);
  pthread_mutex_destroy(&pool->mutex);
}

enum braid_status braid_pool_join(struct braid_pool *pool, struct braid_wait_node *node) {
  braid_guard_enter(&pool->object.guard);
  pthread_mutex_lock(&pool->mutex);
  bool ended = pool->alive == 0;
  pthread_mutex_unlock(&pool->mutex);
  if (!ended) braid_wait_node_join(node, &pool->ended);
  braid_guard_leave(&pool->object.guard);
  return ended ? BRAID_OK : BRAID_WAIT;
}

bool braid_pool_await(struct braid_pool *pool, int64_t deadline) {
  bool in_time = true;
  pthread_mutex_lock(&pool->mutex);
  while (pool->alive > 0 && in_time) in_time = braid_thread_condition_wait(&pool->worker_ended, &pool->mutex, deadline);
  bool ended = pool->alive == 0;
  pthread_mutex_unlock(&pool->mutex);
  return ended;
}

void braid_pool_lose_worker(struct braid_pool *pool) {
  struct braid_wake_list woken = {0};
  pthread_mutex_lock(&pool->mutex);
  bool last = --pool->alive == 0;
  pthread_cond_broadcast(&pool->worker_ended);
  pthread_mutex_unlock(&pool->mutex);
  if (!last) return;
  braid_guard_enter(&pool->object.guard);
  braid_wait_queue_claim_all(&pool->ended, BRAID_OK, &woken);
  braid_guard_leave(&pool->object.guard);
  braid_loop_post_all(&woken);
}

/* ---- job count ------------------------------------------------------------------------------------------------ */

bool braid_pool_count(struct braid_pool *pool) {
  pool->tally = braid_tally_open(pool->kind->apart ? "processes" : "threads", pool->name);
  if (pool->tally) atomic_store(&pool->posted, braid_tally_ended(pool->tally));
  return pool->tally != NULL;
}

static void wake_resting(struct braid_pool *pool) {
  struct braid_wake_list woken = {0};
  braid_guard_enter(&pool->rest_guard);
  if (braid_tally_count(pool->tally) == 0) braid_wait_queue_claim_all(&pool->resting, BRAID_OK, &woken);
  braid_guard_leave(&pool->rest_guard);
  braid_loop_post_all(&woken);
}

/* A job has ended, and its submitter was told. Whoever wants to rest first says so, and then looks at the count; here
 * the count comes first. So one of the two sees the other. */
static void tell_resting(struct braid_pool *pool) {
  if (!pool->tally) return;
  atomic_fetch_add(&pool->posted, 1);
  if (atomic_load(&pool->rest_wanted)) wake_resting(pool);
}

void braid_pool_turn_away(struct braid_pool *pool) {
  if (pool->tally) braid_tally_remove(pool->tally);
  tell_resting(pool);
}

enum braid_status braid_pool_rest(struct braid_pool *pool, struct braid_wait_node *node) {
  braid_guard_enter(&pool->rest_guard);
  atomic_store(&pool->rest_wanted, true);
  uint64_t ended = braid_tally_ended(pool->tally);
  bool at_rest = braid_tally_count(pool->tally) == 0;
  if (!at_rest) braid_wait_node_join(node, &pool->resting);
  braid_guard_leave(&pool->rest_guard);
  while (at_rest && atomic_load(&pool->posted) < ended) sched_yield(); /* a worker is posting the last waiters */
  return at_rest ? BRAID_OK : BRAID_WAIT;
}

/* The tally comes first: the submitter may end the process as soon as it is posted. Others come after it: whoever waits
 * for rest must find the job at home. */
void braid_pool_send_home(struct braid_pool *pool, struct braid_job *job) {
  struct braid_waiter *home = atomic_exchange(&job->home, NULL);
  if (pool->tally) braid_tally_remove(pool->tally);
  if (home) {
    braid_job_resign(job); /* the submitter has one as long as its waiter is here */
    braid_loop_post(home);
  } else {
    braid_job_unref(job);
  }
  tell_resting(pool);
}

void braid_pool_bring_home(struct braid_pool *pool, struct braid_job *job) {
  braid_pool_stats_count(&pool->stats, (enum braid_job_outcome)job->outcome);
  braid_pool_send_home(pool, job);
}

/* ---- for submitters ------------------------------------------------------------------------------------------- */

struct braid_pool_facts braid_pool_look(struct braid_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  struct braid_pool_facts facts = {pool->stats, pool->alive, pool->kind->queued(pool), pool->kind->running(pool)};
  if (pool->kind->add_stats) pool->kind->add_stats(pool, &facts.stats);
  pthread_mutex_unlock(&pool->mutex);
  return facts;
}

bool braid_pool_is_given_up(struct braid_pool *pool, struct braid_message **failure) {
  pthread_mutex_lock(&pool->mutex);
  *failure = pool->failure;
  bool given_up = pool->failure || pool->dead;
  pthread_mutex_unlock(&pool->mutex);
  return given_up;
}

void braid_pool_stop(struct braid_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  pool->stopped = true;
  pthread_mutex_unlock(&pool->mutex);
  pool->kind->stop(pool);
}

bool braid_pool_is_stopped(struct braid_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  bool stopped = pool->stopped;
  pthread_mutex_unlock(&pool->mutex);
  return stopped;
}

/* The outcome is written before the waiter is taken out. */
bool braid_pool_has_cancelled(struct braid_job *job) {
  return atomic_load(&job->state) == BRAID_JOB_ENDED && !atomic_load(&job->home) && job->outcome == BRAID_JOB_CANCELLED;
}

bool braid_pool_has_begun(struct braid_pool *pool, struct braid_job *job) {
  pthread_mutex_lock(&pool->mutex); /* while it is held, the job keeps its flag */
  struct braid_job_flag *flag = atomic_load(&job->flag);
  bool begun = flag && braid_job_flag_begun(flag, job->ticket);
  pthread_mutex_unlock(&pool->mutex);
  return begun;
}

bool braid_pool_forsake(struct braid_job *job) { return atomic_exchange(&job->home, NULL) != NULL; }

/* ---- the pool for worker processes ---------------------------------------------------------------------------- */

static enum braid_status refuse(struct braid_pool *pool, struct braid_job *job) {
  (void)pool, (void)job;
  return BRAID_CLOSED;
}

static bool know_nothing(struct braid_pool *pool, struct braid_job *job) {
  (void)pool, (void)job;
  return false;
}

static void do_not_close(struct braid_pool *pool, bool cancel_pending) { (void)pool, (void)cancel_pending; }

static void do_nothing(struct braid_pool *pool) { (void)pool; }

static size_t none(struct braid_pool *pool) {
  (void)pool;
  return 0;
}

static void free_elsewhere(struct braid_pool *pool) {
  braid_pool_term(pool);
  free(pool);
}

static const struct braid_pool_kind elsewhere = {.submit = refuse,
                                                 .cancel = know_nothing,
                                                 .close = do_not_close,
                                                 .stop = do_nothing,
                                                 .queued = none,
                                                 .running = none,
                                                 .destroy = free_elsewhere};

struct braid_pool *braid_pool_elsewhere(void) {
  struct braid_pool *pool = calloc(1, sizeof *pool);
  if (pool) braid_pool_init(pool, &elsewhere);
  return pool;
}

bool braid_pool_is_elsewhere(const struct braid_pool *pool) { return pool->kind == &elsewhere; }
