/* SPDX-License-Identifier: MIT
 * The thread waits in poll for the descriptor of a watch of SIGTERM. Stopping makes it readable, too. */
#include "core/web/term_guard.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/loop/signal_watch.h"

struct braid_term_guard {
  struct braid_signal_watch watch;
  int64_t patience;
  atomic_bool stopped;
  pthread_t thread;
};

enum { MILLISECOND = 1000 * 1000, STATUS = 128 + SIGTERM };

/* Waits until the descriptor is readable; false when `limit` ms are over (-1: no limit). */
static bool await(const struct braid_term_guard *guard, int limit) {
  struct pollfd look = {.fd = guard->watch.wakeup.read_fd, .events = POLLIN};
  int count;
  do count = poll(&look, 1, limit);
  while (count < 0 && errno == EINTR);
  return count != 0;
}

static void end_process(void) {
  static const char text[] = "braid: the server computes and does not end after SIGTERM; it is ended\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) errno = 0;
  _exit(STATUS);
}

static void *run(void *argument) {
  struct braid_term_guard *guard = argument;
  braid_thread_name("braid-term");
  do await(guard, -1);
  while (!atomic_load(&guard->stopped) && braid_signal_watch_next(&guard->watch) != SIGTERM);
  int64_t due = braid_clock_now() + guard->patience;
  while (!atomic_load(&guard->stopped)) {
    int64_t left = (due - braid_clock_now()) / MILLISECOND;
    if (left <= 0) end_process();
    if (await(guard, left < 60000 ? (int)left : 60000)) braid_signal_watch_next(&guard->watch);
  }
  return NULL;
}

int braid_term_guard_start(struct braid_term_guard **started, int64_t patience) {
  struct braid_term_guard *guard = calloc(1, sizeof *guard);
  if (!guard) return ENOMEM;
  guard->patience = patience;
  int error = braid_signal_watch_open(&guard->watch, UINT64_C(1) << SIGTERM);
  if (!error) {
    error = braid_thread_start(&guard->thread, run, guard);
    if (error) braid_signal_watch_close(&guard->watch);
  }
  if (error)
    free(guard);
  else
    *started = guard;
  return error;
}

void braid_term_guard_stop(struct braid_term_guard *guard) {
  atomic_store(&guard->stopped, true);
  braid_wakeup_signal(&guard->watch.wakeup);
  pthread_join(guard->thread, NULL);
  braid_signal_watch_close(&guard->watch);
  free(guard);
}
