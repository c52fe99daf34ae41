/* SPDX-License-Identifier: MIT
 * Threads are born with all signals blocked, so that a signal always meets the main thread. */
#include "thread.h"

#include <signal.h>

void braid_guard_init(struct braid_guard *guard, bool shared) {
  pthread_mutex_init(&guard->mutex, NULL);
  guard->shared = shared;
}

void braid_guard_term(struct braid_guard *guard) { pthread_mutex_destroy(&guard->mutex); }

int braid_thread_start(pthread_t *thread, void *(*body)(void *), void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(thread, NULL, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}
