/* SPDX-License-Identifier: MIT
 * New threads block all signals, so the main thread receives every signal of the process. */
#include "core/base/thread.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/quota.h"

/* Cached: if the process gets fewer cores later, spinning is only a short waste of time. */
bool braid_thread_may_spin(void) {
  static atomic_int cores;
  int known = atomic_load_explicit(&cores, memory_order_relaxed);
  if (known == 0) {
    known = braid_thread_usable();
    atomic_store_explicit(&cores, known, memory_order_relaxed);
  }
  return known > 1;
}

void braid_mutex_contend(pthread_mutex_t *mutex) {
  enum { TRIES = 32, PAUSES = 8 };
  if (braid_thread_may_spin()) {
    for (int i = 0; i < TRIES; i++) {
      for (int pause = 0; pause < PAUSES; pause++) braid_thread_relax();
      if (pthread_mutex_trylock(mutex) == 0) return;
    }
  }
  pthread_mutex_lock(mutex);
}

BRAID_THREAD_LOCAL struct braid_here braid_here;

void braid_guard_init(struct braid_guard *guard, bool shared) {
  pthread_mutex_init(&guard->mutex, NULL);
  guard->shared = shared;
}

void braid_guard_term(struct braid_guard *guard) { pthread_mutex_destroy(&guard->mutex); }

static void pin(void) {
  Dl_info info;
  if (dladdr((void *)(uintptr_t)braid_thread_start, &info) && info.dli_fname)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

void braid_thread_pin(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, pin);
}

#ifdef __APPLE__ /* conditions have no clock there, only relative timeouts */
void braid_thread_condition_init(pthread_cond_t *condition) { pthread_cond_init(condition, NULL); }

static int wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline) {
  int64_t left = deadline - braid_clock_now();
  if (left < 0) left = 0;
  struct timespec time = {.tv_sec = (time_t)(left / BRAID_SECOND), .tv_nsec = (long)(left % BRAID_SECOND)};
  return pthread_cond_timedwait_relative_np(condition, mutex, &time);
}
#else
void braid_thread_condition_init(pthread_cond_t *condition) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

static int wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline) {
  struct timespec time = {.tv_sec = (time_t)(deadline / BRAID_SECOND), .tv_nsec = (long)(deadline % BRAID_SECOND)};
  return pthread_cond_timedwait(condition, mutex, &time);
}
#endif

bool braid_thread_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline) {
  int error = deadline == BRAID_NEVER ? pthread_cond_wait(condition, mutex) : wait_until(condition, mutex, deadline);
  return error == 0;
}

/* Lua nests up to 200 C calls, which needs a large stack. glibc gives a thread as much as `ulimit -s` (mostly 8 MiB),
 * but musl only 128 KiB and macOS 512 KiB. */
static void ask_for_stack(pthread_attr_t *attributes) {
  enum { LEAST = 2 * 1024 * 1024 };
  size_t usual;
  if (pthread_attr_getstacksize(attributes, &usual) == 0 && usual < LEAST) pthread_attr_setstacksize(attributes, LEAST);
}

int braid_thread_start(pthread_t *thread, void *(*body)(void *), void *argument) {
  sigset_t all, before;
  pthread_attr_t attributes;
  braid_thread_pin();
  int error = pthread_attr_init(&attributes);
  if (error) return error;
  ask_for_stack(&attributes);
  sigfillset(&all);
  sigdelset(&all, SIGBUS); /* of a truncated file (core/memory/shm.c): blocked, it would end the process */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(thread, &attributes, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

int braid_thread_number(void) {
#ifdef __linux__
  return gettid();
#else
  return (int)getpid();
#endif
}

void braid_thread_spread(unsigned index) {
#ifdef __linux__
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) || CPU_COUNT(&all) < 2) return;
  unsigned left = index % (unsigned)CPU_COUNT(&all);
  for (int core = 0; core < CPU_SETSIZE; core++) {
    if (!CPU_ISSET((size_t)core, &all) || left-- > 0) continue;
    CPU_ZERO(&one);
    CPU_SET((size_t)core, &one);
    sched_setaffinity(0, sizeof one, &one);
    sched_setaffinity(0, sizeof all, &all);
    return;
  }
#else
  (void)index;
#endif
}

unsigned braid_thread_core(void) {
  unsigned place = 0;
#ifdef __linux__
  cpu_set_t all;
  int here = sched_getcpu();
  if (here < 0 || sched_getaffinity(0, sizeof all, &all)) return 0;
  for (int core = 0; core < here; core++) place += CPU_ISSET((size_t)core, &all) ? 1 : 0;
#endif
  return place;
}

int braid_thread_cores(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

int braid_thread_usable(void) {
  int count = braid_thread_cores();
  double quota = braid_quota("");
  return quota > 0 && quota < count ? (int)(quota + 0.999) : count;
}

void braid_thread_name(const char *name) {
#ifdef __linux__
  pthread_setname_np(pthread_self(), name);
#else
  (void)name;
#endif
}
