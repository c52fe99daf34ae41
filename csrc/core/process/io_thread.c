/* SPDX-License-Identifier: MIT
 * The mutex guards which broker there is and its users. The last user takes the broker out of sight; the thread then
 * ends and frees it. */
#include "core/process/io_thread.h"

#include <errno.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t started = PTHREAD_COND_INITIALIZER;
static struct braid_broker *current; /* NULL: none runs */

struct start {
  struct braid_broker *broker;
  int error; /* -1: not known yet */
};

static BRAID_THREAD_LOCAL struct braid_broker *here;

bool braid_broker_is_here(const struct braid_broker *broker) { return here == broker; }

static bool is_needed(struct braid_broker *broker) {
  pthread_mutex_lock(&mutex);
  bool needed = broker->users > 0;
  pthread_mutex_unlock(&mutex);
  return needed;
}

static void serve(struct braid_broker *broker) {
  struct braid_waiter *waiter;
  while (is_needed(broker)) {
    while ((waiter = braid_loop_next(&broker->loop))) {
      struct braid_errand *errand = braid_container(waiter, struct braid_errand, waiter);
      atomic_store(&errand->under_way, false);
      errand->run(errand);
    }
    if (is_needed(broker)) braid_loop_poll(&broker->loop, BRAID_NEVER);
  }
}

static void *run(void *argument) {
  struct start *start = argument;
  struct braid_broker *broker = start->broker;
  int error = braid_loop_open(&broker->loop);
  pthread_mutex_lock(&mutex);
  start->error = error;
  pthread_cond_broadcast(&started);
  pthread_mutex_unlock(&mutex);
  if (error) return NULL;
  here = broker;
  braid_children_init(&broker->children, &broker->loop);
  serve(broker);
  braid_children_term(&broker->children);
  braid_loop_close(&broker->loop);
  free(broker);
  return NULL;
}

/* Under the mutex, which it gives up while it waits. */
static struct braid_broker *start(void) {
  struct start start = {calloc(1, sizeof *start.broker), -1};
  pthread_t thread;
  if (!start.broker) return NULL;
  start.broker->users = 1;
  int error = braid_thread_start(&thread, run, &start);
  if (!error) {
    pthread_detach(thread);
    while (start.error < 0) pthread_cond_wait(&started, &mutex);
    error = start.error;
  }
  if (error) {
    free(start.broker);
    errno = error;
    return NULL;
  }
  if (current) { /* another thread was faster; both are as good */
    start.broker->users = 0;
    braid_loop_interrupt(&start.broker->loop);
    current->users++;
    return current;
  }
  return current = start.broker;
}

struct braid_broker *braid_broker_enter(void) {
  pthread_mutex_lock(&mutex);
  struct braid_broker *broker = current;
  if (broker)
    broker->users++;
  else
    broker = start();
  pthread_mutex_unlock(&mutex);
  return broker;
}

void braid_broker_leave(struct braid_broker *broker) {
  pthread_mutex_lock(&mutex);
  if (--broker->users == 0) {
    current = NULL;
    braid_loop_interrupt(&broker->loop); /* inside: once the mutex is free it may be gone */
  }
  pthread_mutex_unlock(&mutex);
}

void braid_errand_init(struct braid_errand *errand, struct braid_broker *broker,
                       void (*run_it)(struct braid_errand *)) {
  braid_waiter_init(&errand->waiter, &broker->loop, BRAID_WAITER_ERRAND);
  errand->run = run_it;
  atomic_init(&errand->under_way, false);
}

void braid_errand_send(struct braid_errand *errand) {
  if (!atomic_exchange(&errand->under_way, true)) braid_loop_post(&errand->waiter);
}

void braid_errand_recall(struct braid_errand *errand) {
  struct braid_loop *loop = errand->waiter.home;
  if (!atomic_load(&errand->under_way)) return;
  braid_loop_take_mail(loop);
  struct braid_road rest = {0};
  struct braid_waiter *waiter;
  while ((waiter = braid_loop_next(loop)))
    if (waiter != &errand->waiter) braid_road_push(&rest, waiter);
  loop->ready = rest;
  atomic_store(&errand->under_way, false);
}
