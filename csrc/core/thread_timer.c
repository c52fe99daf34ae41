/* SPDX-License-Identifier: MIT
 * A POSIX timer that signals one thread, or a thread that waits for the deadline and sends the signal. */
#include "thread_timer.h"

#include <errno.h>
#include <unistd.h>

#include "clock.h"

enum { AGAIN = 10 * 1000 * 1000 };

#ifdef BRAID_SYSTEM_TIMER

int braid_thread_timer_open(struct braid_thread_timer *timer, int signal) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
  event._sigev_un._tid = gettid();
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

static void *run(void *argument) {
  struct braid_thread_timer *timer = argument;
  pthread_mutex_lock(&timer->mutex);
  while (!timer->closed) {
    braid_thread_condition_wait(&timer->changed, &timer->mutex, timer->deadline);
    int64_t now = braid_clock_now();
    if (timer->closed || now < timer->deadline) continue;
    timer->deadline = now + AGAIN;
    pthread_kill(timer->target, timer->signal);
  }
  pthread_mutex_unlock(&timer->mutex);
  return NULL;
}

int braid_thread_timer_open(struct braid_thread_timer *timer, int signal) {
  timer->target = pthread_self();
  timer->deadline = BRAID_NEVER;
  timer->signal = signal;
  timer->closed = false;
  pthread_mutex_init(&timer->mutex, NULL);
  braid_thread_condition_init(&timer->changed);
  int error = braid_thread_start(&timer->thread, run, timer);
  if (!error) return 0;
  pthread_cond_destroy(&timer->changed);
  pthread_mutex_destroy(&timer->mutex);
  return error;
}

void braid_thread_timer_close(struct braid_thread_timer *timer) {
  pthread_mutex_lock(&timer->mutex);
  timer->closed = true;
  pthread_cond_signal(&timer->changed);
  pthread_mutex_unlock(&timer->mutex);
  pthread_join(timer->thread, NULL);
  pthread_cond_destroy(&timer->changed);
  pthread_mutex_destroy(&timer->mutex);
}

void braid_thread_timer_set(struct braid_thread_timer *timer, int64_t deadline) {
  pthread_mutex_lock(&timer->mutex);
  timer->deadline = deadline;
  pthread_cond_signal(&timer->changed);
  pthread_mutex_unlock(&timer->mutex);
}

#endif
