/* SPDX-License-Identifier: MIT
 * Ownership: the list of work holds a reference to each of its entries; the thread that takes an entry takes over this
 * reference. A thread that ends decrements `threads` under the mutex under which work is added, so no work is left
 * without a thread. */
#include "core/loop/blocking.h"

#include "core/base/clock.h"
#include "core/loop/loop.h"

#include <time.h>

enum { MOST_THREADS = 8 };

#define PATIENCE (100 * INT64_C(1000000)) /* ns that a thread waits for more work */

struct helpers {
  struct braid_list row; /* of work */
  pthread_cond_t more;
  unsigned threads, idle;
};

static struct {
  pthread_mutex_t mutex; /* guards all that follows */
  pthread_once_t once;
  struct helpers of[BRAID_BLOCKING_KINDS];
} blocking = {.mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void init(void) {
  for (int i = 0; i < BRAID_BLOCKING_KINDS; i++) {
    braid_list_init(&blocking.of[i].row);
    braid_thread_condition_init(&blocking.of[i].more);
  }
}

void braid_blocking_init(struct braid_blocking *work, const struct braid_class *class,
                         void (*run)(struct braid_blocking *work)) {
  braid_object_init(&work->object, class);
  braid_object_share(&work->object);
  braid_wait_queue_init(&work->waiters, &work->object.guard);
  braid_list_init(&work->turn);
  work->run = run;
  atomic_init(&work->abandoned, false);
  work->submitted = work->done = false;
}

void braid_blocking_term(struct braid_blocking *work) { braid_wait_queue_dissolve(&work->waiters); }

void braid_blocking_finish(struct braid_blocking *work) {
  struct braid_wake_list woken = {0};
  braid_guard_enter(&work->object.guard);
  work->done = true;
  braid_wait_queue_claim_all(&work->waiters, BRAID_OK, &woken);
  braid_guard_leave(&work->object.guard);
  braid_loop_post_all(&woken);
  braid_object_unref(&work->object);
}

/* The next work; waits a moment for it. NULL: the calling thread is no longer counted. */
static struct braid_blocking *next_work(struct helpers *helpers) {
  pthread_mutex_lock(&blocking.mutex);
  int64_t deadline = braid_clock_now() + PATIENCE;
  helpers->idle++;
  while (braid_list_empty(&helpers->row))
    if (!braid_thread_condition_wait(&helpers->more, &blocking.mutex, deadline)) break;
  helpers->idle--;
  struct braid_list *link = braid_list_pop(&helpers->row);
  if (!link) helpers->threads--;
  pthread_mutex_unlock(&blocking.mutex);
  return link ? braid_container(link, struct braid_blocking, turn) : NULL;
}

static void *work_on(void *argument) {
  struct braid_blocking *work;
  braid_thread_name("braid-blocking");
  while ((work = next_work(argument))) {
    /* If this reference is the last one, the caller has given up before it began. */
    if (atomic_load(&work->object.refs) > 1) work->run(work);
    braid_blocking_finish(work);
  }
  return NULL;
}

/* Inside the mutex. An idle thread may not have woken up yet for the work that is in the list already. */
static bool needs_thread(const struct helpers *helpers) {
  return helpers->threads < MOST_THREADS && (helpers->idle == 0 || !braid_list_empty(&helpers->row));
}

bool braid_blocking_submit(struct braid_blocking *work, enum braid_blocking_kind kind) {
  struct helpers *helpers = &blocking.of[kind];
  pthread_t thread;
  pthread_once(&blocking.once, init);
  pthread_mutex_lock(&blocking.mutex);
  if (needs_thread(helpers) && braid_thread_start(&thread, work_on, helpers) == 0) {
    pthread_detach(thread);
    helpers->threads++;
  }
  bool taken = work->submitted = helpers->threads > 0;
  if (taken) {
    braid_object_ref(&work->object);
    braid_list_push(&helpers->row, &work->turn);
    pthread_cond_signal(&helpers->more);
  }
  pthread_mutex_unlock(&blocking.mutex);
  return taken;
}

void braid_blocking_await(struct braid_blocking *work) {
  struct timespec moment = {.tv_nsec = 100 * 1000};
  while (work->submitted && braid_blocking_wait(work, NULL) != BRAID_OK) nanosleep(&moment, NULL);
}

enum braid_status braid_blocking_wait(struct braid_blocking *work, struct braid_wait_node *node) {
  enum braid_status status = BRAID_OK;
  braid_guard_enter(&work->object.guard);
  if (!work->done && node) braid_wait_node_join(node, &work->waiters);
  if (!work->done) status = node ? BRAID_WAIT : BRAID_EMPTY;
  braid_guard_leave(&work->object.guard);
  return status;
}
