/* SPDX-License-Identifier: MIT
 * Adding from several threads at once. */
#include "core/sync/counter.h"

#include "check.h"

static void *add_often(void *argument) {
  struct braid_counter *counter = argument;
  for (int i = 0; i < 100000; i++) atomic_fetch_add(&counter->value, 1);
  braid_object_unref(&counter->object);
  return NULL;
}

static void counts_every_addition(void) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  struct braid_counter *counter = braid_counter_new(-5);
  braid_object_share(&counter->object);
  for (int i = 0; i < THREADS; i++) {
    braid_object_ref(&counter->object);
    check(braid_thread_start(&threads[i], add_often, counter) == 0);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  check(atomic_load(&counter->value) == THREADS * 100000 - 5);
  braid_object_unref(&counter->object);
}

CHECK_MAIN({"counter: counts every addition", counts_every_addition})
