/* SPDX-License-Identifier: MIT
 * The mutex guards `current` and the number of users. The last user sets `current` to NULL; then the thread ends and
 * frees its memory. */
#include "core/process/io_thread.h"

#include <errno.h>
#include <stdlib.h>

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t started;
  struct braid_io_thread *current; /* NULL: none runs */
} process = {.mutex = PTHREAD_MUTEX_INITIALIZER, .started = PTHREAD_COND_INITIALIZER};

struct start {
  struct braid_io_thread *io_thread;
  int error; /* -1: not known yet */
};

static bool is_needed(struct braid_io_thread *io_thread) {
  pthread_mutex_lock(&process.mutex);
  bool needed = io_thread->users > 0;
  pthread_mutex_unlock(&process.mutex);
  return needed;
}

static void serve(struct braid_io_thread *io_thread) {
  struct braid_waiter *waiter;
  while (is_needed(io_thread)) {
    while ((waiter = braid_loop_next(&io_thread->loop))) {
      struct braid_errand *errand = braid_container(waiter, struct braid_errand, waiter);
      atomic_store(&errand->under_way, false);
      errand->run(errand);
    }
    if (is_needed(io_thread)) braid_loop_poll(&io_thread->loop, BRAID_NEVER);
  }
}

static void *run(void *argument) {
  struct start *start = argument;
  struct braid_io_thread *io_thread = start->io_thread;
  int error = braid_loop_open(&io_thread->loop);
  pthread_mutex_lock(&process.mutex);
  start->error = error;
  pthread_cond_broadcast(&process.started);
  pthread_mutex_unlock(&process.mutex);
  if (error) return NULL;
  io_thread->loop.social = braid_thread_cores() > 1;
  io_thread->loop.modest = true;
  braid_children_init(&io_thread->children, &io_thread->loop);
  serve(io_thread);
  braid_children_term(&io_thread->children);
  braid_loop_close(&io_thread->loop);
  free(io_thread);
  return NULL;
}

/* Under the mutex, which it releases while it waits. */
static struct braid_io_thread *start(void) {
  struct start start = {calloc(1, sizeof *start.io_thread), -1};
  pthread_t thread;
  if (!start.io_thread) return NULL;
  start.io_thread->users = 1;
  int error = braid_thread_start(&thread, run, &start);
  if (!error) {
    pthread_detach(thread);
    while (start.error < 0) pthread_cond_wait(&process.started, &process.mutex);
    error = start.error;
  }
  if (error) {
    free(start.io_thread);
    errno = error;
    return NULL;
  }
  if (process.current) { /* another thread has started one in the meantime; this one ends */
    start.io_thread->users = 0;
    braid_loop_interrupt(&start.io_thread->loop);
    process.current->users++;
    return process.current;
  }
  return process.current = start.io_thread;
}

struct braid_io_thread *braid_io_thread_enter(void) {
  pthread_mutex_lock(&process.mutex);
  struct braid_io_thread *io_thread = process.current;
  if (io_thread)
    io_thread->users++;
  else
    io_thread = start();
  pthread_mutex_unlock(&process.mutex);
  return io_thread;
}

void braid_io_thread_leave(struct braid_io_thread *io_thread) {
  pthread_mutex_lock(&process.mutex);
  if (--io_thread->users == 0) {
    process.current = NULL;
    braid_loop_interrupt(&io_thread->loop); /* once the mutex is free, it may be freed */
  }
  pthread_mutex_unlock(&process.mutex);
}

void braid_errand_init(struct braid_errand *errand, struct braid_io_thread *io_thread,
                       void (*run_it)(struct braid_errand *)) {
  braid_waiter_init(&errand->waiter, &io_thread->loop, BRAID_WAITER_ERRAND);
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
  struct braid_wake_list rest = {0};
  struct braid_waiter *waiter;
  while ((waiter = braid_loop_next(loop)))
    if (waiter != &errand->waiter) braid_wake_list_push(&rest, waiter);
  loop->ready = rest;
  atomic_store(&errand->under_way, false);
}

/* ---- what is under way ---------------------------------------------------------------------------------------- */

/* Runs three times: what came before it was sent is read, at the latest, before its second run, and what has to be
 * relayed is sent before its third. The last one to leave, the I/O thread or the caller, frees it. */
struct passage {
  struct braid_errand errand;
  atomic_int left; /* runs that still come */
  atomic_int users;
};

static void leave_passage(struct passage *passage) {
  if (atomic_fetch_sub(&passage->users, 1) == 1) free(passage);
}

static void on_passage(struct braid_errand *errand) {
  struct passage *passage = braid_container(errand, struct passage, errand);
  if (atomic_fetch_sub(&passage->left, 1) > 1)
    braid_errand_send(errand);
  else
    leave_passage(passage);
}

bool braid_io_thread_settle(void) {
  enum { LOOKS = 100, PERIOD = 500 * 1000 /* ns */ };
  struct braid_io_thread *io_thread = braid_io_thread_enter();
  struct passage *passage = io_thread ? calloc(1, sizeof *passage) : NULL;
  bool settled = false;
  if (passage) {
    atomic_init(&passage->left, 3);
    atomic_init(&passage->users, 2);
    braid_errand_init(&passage->errand, io_thread, on_passage);
    braid_errand_send(&passage->errand);
    for (int i = 0; i < LOOKS && !settled; i++) {
      settled = atomic_load(&passage->left) <= 0;
      if (!settled) nanosleep(&(struct timespec){.tv_nsec = PERIOD}, NULL);
    }
    leave_passage(passage);
  }
  if (io_thread) braid_io_thread_leave(io_thread);
  return settled;
}
