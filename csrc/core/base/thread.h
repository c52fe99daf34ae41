/* SPDX-License-Identifier: MIT
 * Threads and the guard of a shared object. */
#ifndef BRAID_THREAD_H
#define BRAID_THREAD_H

#include <pthread.h>

#include "core/base/base.h"

/* Guards an object. While the object has not left the thread that made it (`shared` is false) entering costs a test.
 * It becomes shared before a second thread can know it, and stays so. */
struct braid_guard {
  pthread_mutex_t mutex;
  bool shared;
};

void braid_guard_init(struct braid_guard *guard, bool shared);
void braid_guard_term(struct braid_guard *guard);

/* Any thread; blocks for the few instructions that another thread is inside. */
static inline void braid_guard_enter(struct braid_guard *guard) {
  if (guard->shared) pthread_mutex_lock(&guard->mutex);
}
static inline void braid_guard_leave(struct braid_guard *guard) {
  if (guard->shared) pthread_mutex_unlock(&guard->mutex);
}

/* A condition of threads that is waited for until a point of the monotonic clock. */
void braid_thread_condition_init(pthread_cond_t *condition);

/* Any thread that holds the mutex; blocks until it is signalled or the deadline passes (BRAID_NEVER: none). False when
 * it has passed. */
bool braid_thread_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline);

/* This library stays mapped until the process ends. Any thread; may load. */
void braid_thread_pin(void);

/* Starts a thread in which every signal is blocked: signals are the main thread's. This library stays mapped from then
 * on: lua_close of the state that loaded it would unmap the thread's code. Returns 0 or an error number. */
int braid_thread_start(pthread_t *thread, void *(*body)(void *), void *argument);

/* The system's number of the calling thread; that of the process where there is none. */
int braid_thread_number(void);

/* Moves the calling thread to the index-th of the cores that it may run on, and lets it go wherever the system likes
 * from there: threads that begin on one core stay together on it for some 100 ms of work otherwise. */
void braid_thread_spread(unsigned index);

/* The place of the calling thread's core among those that it may run on. Any thread; does not block. */
unsigned braid_thread_core(void);

/* Cores that this process may run on, by its affinity. Any thread; does not block. */
int braid_thread_cores(void);

/* The same, but no more than the control group's quota lets it use. Any thread; reads a file. */
int braid_thread_usable(void);

/* Names the calling thread for who looks at the process from outside. */
void braid_thread_name(const char *name);

#endif
