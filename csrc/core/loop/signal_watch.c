/* SPDX-License-Identifier: MIT
 * The handler walks an array of watches: it may come upon any thread at any instruction, so it takes no lock. It counts
 * itself, and who ends a watch waits until no handler is inside. The mutex is for those who open and close. */
#include "core/loop/signal_watch.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "core/base/thread.h"

enum { MOST_WATCHES = 256, MOST_SIGNALS = 64 };

static struct {
  pthread_mutex_t mutex;
  _Atomic(struct braid_signal_watch *) watches[MOST_WATCHES];
  atomic_uint inside;      /* handlers that look at them */
  _Atomic uint64_t wanted; /* by any of them */
  struct sigaction before[MOST_SIGNALS];
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static uint64_t bit(int number) { return UINT64_C(1) << number; }

bool braid_signal_watched(int number) { return number < MOST_SIGNALS && (atomic_load(&all.wanted) & bit(number)); }

void braid_signal_deliver(int number) {
  atomic_fetch_add(&all.inside, 1);
  for (int i = 0; i < MOST_WATCHES; i++) {
    struct braid_signal_watch *watch = atomic_load(&all.watches[i]);
    if (!watch || !(watch->wanted & bit(number))) continue;
    atomic_fetch_or(&watch->pending, bit(number));
    braid_wakeup_signal(&watch->wakeup);
  }
  atomic_fetch_sub(&all.inside, 1);
}

/* Under the mutex: the dispositions that change with the set of wanted signals. */
static int want(uint64_t wanted) {
  uint64_t had = atomic_load(&all.wanted);
  struct sigaction ours = {.sa_handler = braid_signal_deliver, .sa_flags = SA_RESTART};
  for (int number = 1; number < MOST_SIGNALS; number++) {
    if ((wanted & ~had & bit(number)) && sigaction(number, &ours, &all.before[number])) {
      int error = errno;
      want(had);
      return error;
    }
    if (wanted & bit(number)) atomic_fetch_or(&all.wanted, bit(number));
    if (!(had & ~wanted & bit(number))) continue;
    atomic_fetch_and(&all.wanted, ~bit(number));
    sigaction(number, &all.before[number], NULL);
  }
  return 0;
}

static uint64_t wanted_by_all(void) {
  uint64_t wanted = 0;
  for (int i = 0; i < MOST_WATCHES; i++) {
    const struct braid_signal_watch *watch = atomic_load(&all.watches[i]);
    if (watch) wanted |= watch->wanted;
  }
  return wanted;
}

static bool enter(struct braid_signal_watch *watch, struct braid_signal_watch *free_place) {
  for (int i = 0; i < MOST_WATCHES; i++) {
    if (atomic_load(&all.watches[i]) != free_place) continue;
    atomic_store(&all.watches[i], watch);
    return true;
  }
  return false;
}

/* No handler that began before this has the watch that was taken out. */
static void wait_for_handlers(void) {
  while (atomic_load(&all.inside) > 0) sched_yield();
}

int braid_signal_watch_open(struct braid_signal_watch *watch, uint64_t wanted) {
  watch->wanted = wanted;
  atomic_init(&watch->pending, 0);
  int error = braid_wakeup_open(&watch->wakeup);
  if (error) return error;
  braid_thread_pin();
  pthread_mutex_lock(&all.mutex);
  error = !enter(watch, NULL) ? EMFILE : want(wanted_by_all());
  if (error && error != EMFILE) enter(NULL, watch);
  pthread_mutex_unlock(&all.mutex);
  if (!error) return 0;
  wait_for_handlers();
  braid_wakeup_close(&watch->wakeup);
  return error;
}

void braid_signal_watch_close(struct braid_signal_watch *watch) {
  pthread_mutex_lock(&all.mutex);
  enter(NULL, watch);
  want(wanted_by_all());
  pthread_mutex_unlock(&all.mutex);
  wait_for_handlers();
  braid_wakeup_close(&watch->wakeup);
}

int braid_signal_watch_next(struct braid_signal_watch *watch) {
  braid_wakeup_clear(&watch->wakeup);
  uint64_t pending = atomic_load(&watch->pending);
  if (!pending) return 0;
  int number = __builtin_ctzll(pending);
  pending = atomic_fetch_and(&watch->pending, ~bit(number)) & ~bit(number);
  if (pending) braid_wakeup_signal(&watch->wakeup); /* for who else waits */
  return number;
}

void braid_signal_action(int number, const struct sigaction *action, struct sigaction *before) {
  pthread_mutex_lock(&all.mutex);
  if (!braid_signal_watched(number)) {
    sigaction(number, action, before);
  } else {
    if (before) *before = all.before[number];
    if (action) all.before[number] = *action;
  }
  pthread_mutex_unlock(&all.mutex);
}
