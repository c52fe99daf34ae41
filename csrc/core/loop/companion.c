/* SPDX-License-Identifier: MIT
 * Ownership: the list holds a reference to each piece of work. The thread frees the companion when it ends. */
#include "core/loop/companion.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/loop/loop.h"

#define PATIENCE (20 * INT64_C(1000)) /* ns that the thread spins for more work */

struct braid_companion {
  pthread_mutex_t mutex;
  pthread_cond_t more;
  struct braid_list row;          /* of work; guarded by the mutex, as the next three */
  struct braid_blocking *current; /* what is being done */
  bool asleep, ending;
  atomic_bool mail; /* there may be work; read without the mutex */
};

static void spin(struct braid_companion *companion) {
  enum { LOOKS = 64 };
  if (!braid_thread_may_spin()) return;
  int64_t end = braid_clock_now() + PATIENCE;
  do {
    for (int i = 0; i < LOOKS; i++) {
      if (atomic_load_explicit(&companion->mail, memory_order_acquire)) return;
      braid_thread_relax();
    }
  } while (braid_clock_now() < end);
}

/* The next work; NULL at the end. */
static struct braid_blocking *next_work(struct braid_companion *companion) {
  spin(companion);
  pthread_mutex_lock(&companion->mutex);
  while (braid_list_empty(&companion->row) && !companion->ending) {
    companion->asleep = true;
    braid_thread_condition_wait(&companion->more, &companion->mutex, BRAID_NEVER);
    companion->asleep = false;
  }
  struct braid_list *link = braid_list_pop(&companion->row);
  atomic_store_explicit(&companion->mail, !braid_list_empty(&companion->row), memory_order_relaxed);
  companion->current = link ? braid_container(link, struct braid_blocking, turn) : NULL;
  pthread_mutex_unlock(&companion->mutex);
  return companion->current;
}

static void leave_current(struct braid_companion *companion) {
  pthread_mutex_lock(&companion->mutex);
  companion->current = NULL;
  pthread_mutex_unlock(&companion->mutex);
}

static void *accompany(void *argument) {
  struct braid_companion *companion = argument;
  struct braid_blocking *work;
  braid_thread_name("braid-companion");
  while ((work = next_work(companion))) {
    work->run(work);
    leave_current(companion);
    braid_blocking_finish(work);
  }
  pthread_cond_destroy(&companion->more);
  pthread_mutex_destroy(&companion->mutex);
  free(companion);
  return NULL;
}

int braid_companion_start(struct braid_companion **companion) {
  pthread_t thread;
  struct braid_companion *made = calloc(1, sizeof *made);
  if (!made) return ENOMEM;
  pthread_mutex_init(&made->mutex, NULL);
  braid_thread_condition_init(&made->more);
  braid_list_init(&made->row);
  int error = braid_thread_start(&thread, accompany, made);
  if (error) {
    pthread_cond_destroy(&made->more);
    pthread_mutex_destroy(&made->mutex);
    free(made);
    return error;
  }
  pthread_detach(thread);
  *companion = made;
  return 0;
}

/* A forked child has no companions, and one may have held the mutex: so the work stays undone, with its reference. */
void braid_companion_submit(struct braid_companion *companion, struct braid_blocking *work) {
  if (braid_loop_is_fork) return;
  pthread_mutex_lock(&companion->mutex);
  work->submitted = true;
  braid_list_push(&companion->row, &work->turn);
  atomic_store_explicit(&companion->mail, true, memory_order_release);
  bool asleep = companion->asleep;
  pthread_mutex_unlock(&companion->mutex);
  if (asleep) pthread_cond_signal(&companion->more);
}

bool braid_companion_touch(struct braid_companion *companion, const struct braid_blocking *work, void (*fn)(void *),
                           void *context) {
  if (braid_loop_is_fork) return false;
  pthread_mutex_lock(&companion->mutex);
  bool touches = companion->current && (!work || companion->current == work);
  if (touches) fn(context);
  pthread_mutex_unlock(&companion->mutex);
  return touches;
}

void braid_companion_end(struct braid_companion *companion) {
  if (braid_loop_is_fork) return;
  pthread_mutex_lock(&companion->mutex);
  companion->ending = true;
  atomic_store_explicit(&companion->mail, true, memory_order_release);
  pthread_cond_signal(&companion->more);
  pthread_mutex_unlock(&companion->mutex);
}
