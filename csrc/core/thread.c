/* SPDX-License-Identifier: MIT
 * Threads are born with all signals blocked, so that a signal always meets the main thread. */
#include "thread.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

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

int braid_thread_cores(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}
