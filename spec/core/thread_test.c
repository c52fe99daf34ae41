/* SPDX-License-Identifier: MIT
 * Threads: their number, their cores, and conditions with deadlines. */
#include "core/base/thread.h"

#include <errno.h>
#include <signal.h>
#ifdef __linux__
#include <sched.h>
#endif

#include "core/base/clock.h"
#include "check.h"
#include "refusal.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition;
static bool told;

static void *tell(void *argument) {
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  check(sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGURG)); /* signals are the main thread's */
  check(braid_thread_number() != *(int *)argument);
  braid_thread_name("a name that is longer than any may be");
  pthread_mutex_lock(&mutex);
  told = true;
  pthread_cond_signal(&condition);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static void waits_until_told_or_late(void) {
  pthread_t thread;
  int number = braid_thread_number();
  braid_thread_condition_init(&condition);
  pthread_mutex_lock(&mutex);
  int64_t begin = braid_clock_now(), deadline = begin + 3000000;
  while (braid_thread_condition_wait(&condition, &mutex, deadline)) continue;
  check(braid_clock_now() >= deadline);
  for (int i = 0; i < 2; i++) { /* with a deadline, and without */
    told = false;
    check(braid_thread_start(&thread, tell, &number) == 0);
    while (!told) check(braid_thread_condition_wait(&condition, &mutex, i ? BRAID_NEVER : begin + 1000 * BRAID_SECOND));
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    pthread_mutex_lock(&mutex);
  }
  pthread_mutex_unlock(&mutex);
  pthread_cond_destroy(&condition);
}

static void knows_its_cores(void) {
  int cores = braid_thread_cores(), usable = braid_thread_usable();
  check(cores >= 1 && usable >= 1 && usable <= cores);
  for (unsigned i = 0; i < 5; i++) {
    braid_thread_spread(i);
    check(braid_thread_core() < (unsigned)cores && braid_thread_cores() == cores); /* it may go anywhere still */
  }
}

#ifdef __linux__
static void has_one_core(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET((size_t)sched_getcpu(), &one);
  if (sched_setaffinity(0, sizeof one, &one)) return;
  braid_thread_spread(3);
  check(braid_thread_cores() == 1 && braid_thread_core() == 0 && braid_thread_usable() == 1);
}

static void *run_on_one_core(void *argument) {
  has_one_core();
  return argument;
}

static void is_not_told_its_cores(void) {
  check(braid_thread_cores() >= 1 && braid_thread_core() == 0);
  braid_thread_spread(1);
}

static void cannot_start(void) {
  pthread_t thread;
  int number = 0;
  check(braid_thread_start(&thread, tell, &number) == EAGAIN);
}

static void refusals_are_told(void) {
  pthread_t thread;
  check(braid_thread_start(&thread, run_on_one_core, NULL) == 0);
  pthread_join(thread, NULL);
  refuse_call(SYS_sched_getaffinity, EPERM, is_not_told_its_cores);
  refuse_threads(EAGAIN, cannot_start);
}
#else
static void refusals_are_told(void) {}
#endif

CHECK_MAIN({"thread: waits until it is told, or late", waits_until_told_or_late},
           {"thread: knows its cores", knows_its_cores}, {"thread: refusals are told", refusals_are_told})
