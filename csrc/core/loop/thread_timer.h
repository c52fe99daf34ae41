/* SPDX-License-Identifier: MIT
 * Sends a signal to the thread that opened it when a deadline has passed, and again every 100 ms until it is set anew.
 * So it also stops code that never looks at a clock. Only that thread may use it. Nothing blocks but closing, which
 * takes a moment. */
#ifndef BRAID_THREAD_TIMER_H
#define BRAID_THREAD_TIMER_H

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/loop/wakeup.h"
#include "core/base/thread.h"

/* Linux has timers that signal one thread. Elsewhere a helper thread does it. */
#if defined(__linux__) && defined(SIGEV_THREAD_ID) && !defined(BRAID_PORTABLE)
#define BRAID_SYSTEM_TIMER 1
#endif

struct braid_thread_timer {
#ifdef BRAID_SYSTEM_TIMER
  timer_t timer;
#else
  pthread_t thread, target;
  struct braid_wakeup wakeup; /* wakes the helper thread after a change */
  _Atomic int64_t deadline;   /* BRAID_NEVER: none */
  atomic_bool closed;
  int signal;
#endif
};

/* 0 or an error number. The structure must not move until it is closed. */
int braid_thread_timer_open(struct braid_thread_timer *timer, int signal);
void braid_thread_timer_close(struct braid_thread_timer *timer);

/* BRAID_NEVER disarms it. May also be called in signal handlers on that thread. */
void braid_thread_timer_set(struct braid_thread_timer *timer, int64_t deadline);

#endif
