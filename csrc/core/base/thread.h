/* SPDX-License-Identifier: MIT
 * Threads, and the guard of a shared object. */
#ifndef BRAID_THREAD_H
#define BRAID_THREAD_H

#include <pthread.h>

#include "core/base/base.h"

/* Tells the processor that this thread spins. */
static inline void braid_thread_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Whether the process may use a second core, so that spinning can help. Any thread; does not block. */
bool braid_thread_may_spin(void);

/* Like pthread_mutex_lock, but with a second core it spins for a moment before it sleeps. */
void braid_mutex_contend(pthread_mutex_t *mutex);
static inline void braid_mutex_enter(pthread_mutex_t *mutex) {
  if (pthread_mutex_trylock(mutex) != 0) braid_mutex_contend(mutex);
}

/* The lock of an object. While only the thread that made the object knows it, `shared` is false and entering costs one
 * test. `shared` becomes true before a second thread can know the object, and stays true. */
struct braid_guard {
  pthread_mutex_t mutex;
  bool shared;
};

void braid_guard_init(struct braid_guard *guard, bool shared);
void braid_guard_term(struct braid_guard *guard);

/* Any thread; blocks while another thread is inside, which is only for a few instructions. */
static inline void braid_guard_enter(struct braid_guard *guard) {
  if (guard->shared) braid_mutex_enter(&guard->mutex);
}
static inline void braid_guard_leave(struct braid_guard *guard) {
  if (guard->shared) pthread_mutex_unlock(&guard->mutex);
}

/* What the calling thread knows of itself. Each field is the named file's, no other touches it. */
struct braid_here {
  struct braid_block_cache *blocks;               /* block.c: its free blocks; NULL: none are kept yet */
  struct braid_loop *loop;                        /* loop.c: the one that it runs; a post to it needs no mutex */
  const int64_t *clock;                           /* virtual_clock.h: its virtual clock; NULL: the machine's */
  struct braid_poke_target *_Atomic poke_targets; /* poke.c; also read in the thread's signal handlers */
  volatile int in_libcurl;                        /* broken_pipe.c: how deep; read in the handler of SIGPIPE */
  const void *share;                              /* crew.c: the loop whose body it runs */
  unsigned seat;                                  /* crew.c: its own in that */
  int64_t spread;                                 /* crew.c: when it last went to a core of its own */
};
extern BRAID_THREAD_LOCAL struct braid_here braid_here;

/* A condition variable whose deadlines are times of the monotonic clock. */
void braid_thread_condition_init(pthread_cond_t *condition);

/* The caller holds the mutex. Blocks until the condition is signalled or the deadline passes (BRAID_NEVER: none). False
 * when the deadline has passed. */
bool braid_thread_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline);

/* Keeps this library mapped until the process ends. Any thread; may call dlopen. */
void braid_thread_pin(void);

/* Starts a thread that blocks every signal but SIGBUS, which is about its own access: the main thread handles them.
 * Also keeps this library mapped: lua_close of the state that loaded it would unmap the thread's code. Returns 0 or an
 * error number. */
int braid_thread_start(pthread_t *thread, void *(*body)(void *), void *argument);

/* The system's id of the calling thread; the process's id where threads have none. */
int braid_thread_number(void);

/* Moves the calling thread to the index-th core of its affinity mask, and then allows all cores again. Without this,
 * threads that start on the same core share it for about 100 ms before the kernel moves them. */
void braid_thread_spread(unsigned index);

/* The index of the calling thread's core within its affinity mask. Any thread; does not block. */
unsigned braid_thread_core(void);

/* The number of cores in this process's affinity mask. Any thread; does not block. */
int braid_thread_cores(void);

/* The same, limited by the quota of the control groups (rounded up). Any thread; reads files. */
int braid_thread_usable(void);

/* Sets the calling thread's name, which tools like ps and top show. */
void braid_thread_name(const char *name);

#endif
