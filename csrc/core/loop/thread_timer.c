/* SPDX-License-Identifier: MIT
 * A POSIX timer that signals one thread. Where there is none, a helper thread waits and sends the signal. */
#include "core/loop/thread_timer.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { AGAIN = 100 * 1000 * 1000 };

#ifdef BRAID_SYSTEM_TIMER

#ifndef sigev_notify_thread_id /* the manual's name, which old headers of glibc lack */
#define sigev_notify_thread_id _sigev_un._tid
#endif

int braid_thread_timer_open(struct braid_thread_timer *timer, int signal) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
  event.sigev_notify_thread_id = gettid();
  return timer_create(CLOCK_MONOTONIC, &event, &timer->timer) ? errno : 0;
}

void braid_thread_timer_close(struct braid_thread_timer *timer) { timer_delete(timer->timer); }

void braid_thread_timer_set(struct braid_thread_timer *timer, int64_t deadline) {
  struct itimerspec when = {.it_value = {0}};
  if (deadline != BRAID_NEVER) {
    when.it_value = (struct timespec){.tv_sec = deadline / BRAID_SECOND, .tv_nsec = deadline % BRAID_SECOND};
    when.it_interval.tv_nsec = AGAIN;
  }
  timer_settime(timer->timer, TIMER_ABSTIME, &when, NULL);
}

#else

#include <poll.h>

/* The time until the deadline in ms, for poll(). */
static int pause_of(int64_t deadline) {
  int64_t left = deadline == BRAID_NEVER ? -1 : (deadline - braid_clock_now()) / 1000000 + 1;
  return deadline == BRAID_NEVER ? -1 : left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static void *run(void *argument) {
  struct braid_thread_timer *timer = argument;
  while (!atomic_load(&timer->closed)) {
    int64_t deadline = atomic_load(&timer->deadline);
    struct pollfd wakeup = {.fd = timer->wakeup.read_fd, .events = POLLIN};
    poll(&wakeup, 1, pause_of(deadline));
    braid_wakeup_clear(&timer->wakeup);
    int64_t now = braid_clock_now();
    if (now >= deadline && atomic_compare_exchange_strong(&timer->deadline, &deadline, now + AGAIN))
      pthread_kill(timer->target, timer->signal);
  }
  return NULL;
}

int braid_thread_timer_open(struct braid_thread_timer *timer, int signal) {
  timer->target = pthread_self();
  timer->signal = signal;
  atomic_init(&timer->deadline, BRAID_NEVER);
  atomic_init(&timer->closed, false);
  int error = braid_wakeup_open(&timer->wakeup);
  if (error) return error;
  error = braid_thread_start(&timer->thread, run, timer);
  if (error) braid_wakeup_close(&timer->wakeup);
  return error;
}

void braid_thread_timer_close(struct braid_thread_timer *timer) {
  atomic_store(&timer->closed, true);
  braid_wakeup_signal(&timer->wakeup);
  pthread_join(timer->thread, NULL);
  braid_wakeup_close(&timer->wakeup);
}

void braid_thread_timer_set(struct braid_thread_timer *timer, int64_t deadline) {
  atomic_store(&timer->deadline, deadline);
  braid_wakeup_signal(&timer->wakeup);
}

#endif
