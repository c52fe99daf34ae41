/* SPDX-License-Identifier: MIT
 * The thread that speaks with other processes: one for all who need it, and its errands. */
#include "core/process/io_thread.h"

#include <errno.h>

#include "check.h"
#include "refusal.h"

enum { THREADS = 4, ROUNDS = 200 };

struct errand {
  struct braid_errand errand;
  struct braid_io_thread *io_thread;
  pthread_t sender;
  atomic_int runs;
};

static void run(struct braid_errand *errand) {
  struct errand *this = braid_container(errand, struct errand, errand);
  check(!pthread_equal(this->sender, pthread_self()));
  atomic_fetch_add(&this->runs, 1);
}

static pthread_barrier_t barrier;

static void *come_and_go(void *nothing) {
  (void)nothing;
  for (int i = 0; i < ROUNDS; i++) {
    struct errand errand = {0};
    pthread_barrier_wait(&barrier); /* all at once: several may start one */
    errand.io_thread = braid_io_thread_enter();
    check(errand.io_thread != NULL);
    errand.sender = pthread_self();
    braid_errand_init(&errand.errand, errand.io_thread, run);
    braid_errand_send(&errand.errand);
    while (atomic_load(&errand.runs) == 0) sched_yield();
    braid_io_thread_leave(errand.io_thread);
  }
  return NULL;
}

static void comes_and_goes_with_its_users(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS);
  for (int i = 0; i < THREADS; i++) check(braid_thread_start(&threads[i], come_and_go, NULL) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&barrier);
}

static void is_one_for_all(void) {
  struct braid_io_thread *first = braid_io_thread_enter();
  check(first && braid_io_thread_enter() == first);
  braid_io_thread_leave(first);
  check(braid_io_thread_enter() == first); /* it was needed still */
  braid_io_thread_leave(first);
  braid_io_thread_leave(first);
}

static atomic_int under_way;
static struct errand first, second, third;

/* On the I/O thread, so that nothing else runs meanwhile. */
static void take_back(struct braid_errand *errand) {
  (void)errand;
  braid_errand_send(&first.errand);
  braid_errand_send(&first.errand); /* not begun: it runs once */
  braid_errand_send(&second.errand);
  braid_errand_send(&third.errand);
  braid_errand_recall(&second.errand);
  braid_errand_recall(&second.errand);
  atomic_store(&under_way, 1);
}

static void errands_are_taken_back(void) {
  struct braid_io_thread *io_thread = braid_io_thread_enter();
  struct errand *all[] = {&first, &second, &third};
  for (int i = 0; i < 3; i++) {
    all[i]->io_thread = io_thread;
    all[i]->sender = pthread_self();
    braid_errand_init(&all[i]->errand, io_thread, run);
  }
  struct braid_errand sender;
  braid_errand_init(&sender, io_thread, take_back);
  braid_errand_send(&sender);
  while (atomic_load(&third.runs) == 0) usleep(100);
  check(atomic_load(&under_way) == 1 && atomic_load(&first.runs) == 1 && atomic_load(&second.runs) == 0);
  braid_io_thread_leave(io_thread);
}

#ifdef __linux__
static void without_threads(void) {
  errno = 0;
  check(!braid_io_thread_enter() && errno == EAGAIN);
}

static void without_descriptors(void) {
  errno = 0;
  check(!braid_io_thread_enter() && errno == EMFILE);
}

static void refusals_are_told(void) {
  refuse_threads(EAGAIN, without_threads);
  refuse_call(SYS_epoll_create1, EMFILE, without_descriptors);
  refuse_call(SYS_eventfd2, EMFILE, without_descriptors);
}
#else
static void refusals_are_told(void) {}
#endif

CHECK_MAIN({"io thread: comes and goes with its users", comes_and_goes_with_its_users},
           {"io thread: is one for all", is_one_for_all}, {"io thread: errands are taken back", errands_are_taken_back},
           {"io thread: refusals are told", refusals_are_told})
