/* SPDX-License-Identifier: MIT
 * A recursive lock made of a mutex and a condition: its mutex is free while foreign code is loaded. */
#include "core/base/loading.h"

#include "core/base/thread.h"

static struct {
  pthread_once_t once;
  pthread_mutex_t mutex;
  pthread_cond_t given_back;
  pthread_t owner; /* guarded by the mutex, as is `depth` */
  unsigned depth;  /* how often the owner has begun; 0: there is no owner */
} loading = {.once = PTHREAD_ONCE_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER};

static void prepare(void) { braid_thread_condition_init(&loading.given_back); }

/* Whether another thread loads. Under the mutex. */
static bool is_taken(void) { return loading.depth > 0 && !pthread_equal(loading.owner, pthread_self()); }

bool braid_loading_begin(int64_t deadline) {
  bool in_time = true;
  pthread_once(&loading.once, prepare);
  pthread_mutex_lock(&loading.mutex);
  while (is_taken() && in_time) in_time = braid_thread_condition_wait(&loading.given_back, &loading.mutex, deadline);
  bool taken = !is_taken();
  if (taken) {
    loading.owner = pthread_self();
    loading.depth++;
  }
  pthread_mutex_unlock(&loading.mutex);
  return taken;
}

void braid_loading_end(void) {
  pthread_mutex_lock(&loading.mutex);
  if (--loading.depth == 0) pthread_cond_signal(&loading.given_back);
  pthread_mutex_unlock(&loading.mutex);
}
