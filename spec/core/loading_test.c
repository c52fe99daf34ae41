/* SPDX-License-Identifier: MIT
 * The turn to load foreign code: one thread at a time, and that one again. */
#include "core/base/loading.h"

#include <pthread.h>

#include "core/base/clock.h"
#include "check.h"

enum { THREADS = 4, EACH = 500 };

static int inside, most, total; /* by who has the turn */

static void *take_turns(void *ignored) {
  for (int i = 0; i < EACH; i++) {
    check(braid_loading_begin(BRAID_NEVER));
    check(braid_loading_begin(BRAID_NEVER));
    if (++inside > most) most = inside;
    total++;
    inside--;
    braid_loading_end();
    braid_loading_end();
  }
  return ignored;
}

static void one_thread_at_a_time_has_it(void) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) check(pthread_create(&threads[i], NULL, take_turns, NULL) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  check(most == 1 && total == THREADS * EACH);
}

static void *give_up(void *taken) {
  *(bool *)taken = braid_loading_begin(braid_clock_after(0.01));
  return NULL;
}

static void a_wait_for_it_ends_at_its_deadline(void) {
  pthread_t thread;
  bool taken = true;
  check(braid_loading_begin(BRAID_NEVER));
  check(pthread_create(&thread, NULL, give_up, &taken) == 0);
  pthread_join(thread, NULL);
  check(!taken);
  braid_loading_end();
}

static void *await_turn(void *taken) {
  *(bool *)taken = braid_loading_begin(BRAID_NEVER);
  if (*(bool *)taken) braid_loading_end();
  return NULL;
}

static void who_waits_has_it_next(void) {
  pthread_t thread;
  bool taken = false;
  check(braid_loading_begin(BRAID_NEVER));
  check(pthread_create(&thread, NULL, await_turn, &taken) == 0);
  usleep(10000); /* most likely it waits by then; the answer is the same if it does not */
  braid_loading_end();
  pthread_join(thread, NULL);
  check(taken);
}

CHECK_MAIN({"loading: one thread at a time has the turn", one_thread_at_a_time_has_it},
           {"loading: a wait for it ends at its deadline", a_wait_for_it_ends_at_its_deadline},
           {"loading: who waits has it next", who_waits_has_it_next})
