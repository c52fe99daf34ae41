/* SPDX-License-Identifier: MIT
 * Sends its thread a signal when a deadline has passed, and again every 100 ms until it is set anew: so also code is
 * stopped that never looks at a clock. The thread that opened it; nothing blocks but closing, for a moment. */
#ifndef BRAID_THREAD_TIMER_H
#define BRAID_THREAD_TIMER_H

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/loop/wakeup.h"
#include "core/base/thread.h"

/* Where the system's own timers can signal one thread, as on Linux; elsewhere a thread of ours does. */
#if defined(__linux__) && defined(SIGEV_THREAD_ID) && !defined(BRAID_PORTABLE)
#define BRAID_SYSTEM_TIMER 1
#endif

struct braid_thread_timer {
#ifdef BRAID_SYSTEM_TIMER
  timer_t timer;
#else
  pthread_t thread, target;
  struct braid_wakeup wakeup; /* something has changed */
  _Atomic int64_t deadline;   /* BRAID_NEVER: none */
  atomic_bool closed;
  int signal;
#endif
};

/* 0 or an error number. It stays where it is until it is closed. */
int braid_thread_timer_open(struct braid_thread_timer *timer, int signal);
void braid_thread_timer_close(struct braid_thread_timer *timer);

/* BRAID_NEVER: it does not fire. Also in signal handlers on that thread. */
void braid_thread_timer_set(struct braid_thread_timer *timer, int64_t deadline);

#endif
