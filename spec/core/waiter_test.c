/* SPDX-License-Identifier: MIT
 * Claims: whoever races, exactly one wins; and wait queues: first come, first served. */
#include "core/loop/waiter.h"

#include "check.h"

enum { THREADS = 4, ROUNDS = 5000, CASES = THREADS };

static pthread_barrier_t barrier;
static atomic_int wins;

static void run_threads(void *(*body)(void *), void *arguments, size_t size) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    check(braid_thread_start(&threads[i], body, (char *)arguments + (size_t)i * size) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

/* ---- claims --------------------------------------------------------------------------------------------------- */

static struct braid_waiter contended;

static void *claim_often(void *argument) {
  enum braid_status mine = *(enum braid_status *)argument;
  for (int i = 0; i < ROUNDS; i++) {
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
      braid_waiter_arm(&contended);
      check(braid_waiter_waiting(&contended));
      atomic_store(&wins, 0);
    }
    pthread_barrier_wait(&barrier);
    bool won = braid_waiter_claim(&contended, mine);
    if (won) atomic_fetch_add(&wins, 1);
    pthread_barrier_wait(&barrier);
    check(atomic_load(&wins) == 1 && !braid_waiter_waiting(&contended));
    check(!won || contended.status == mine);
  }
  return NULL;
}

static void exactly_one_claims(void) {
  enum braid_status statuses[THREADS] = {BRAID_OK, BRAID_TIMEOUT, BRAID_CANCELLED, BRAID_CLOSED};
  pthread_barrier_init(&barrier, NULL, THREADS);
  braid_waiter_init(&contended, NULL, BRAID_WAITER_TASK);
  check(!braid_waiter_claim(&contended, BRAID_OK)); /* nobody waits yet */
  run_threads(claim_often, statuses, sizeof *statuses);
  pthread_barrier_destroy(&barrier);
}

/* ---- a select that stands in several wait queues ---------------------------------------------------------------- */

static struct place {
  struct braid_guard guard;
  struct braid_wait_queue queue;
  struct braid_case choice;
} places[CASES];

static void *serve_a_queue(void *argument) {
  struct place *place = argument;
  for (int i = 0; i < ROUNDS; i++) {
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
      atomic_store(&wins, 0);
      for (int j = 0; j < CASES; j++) places[j].choice.node.chosen = 0;
      braid_waiter_arm(&contended);
    }
    pthread_barrier_wait(&barrier);
    braid_guard_enter(&place->guard);
    braid_wait_node_join(&place->choice.node, &place->queue);
    struct braid_wait_node *node = braid_wait_queue_claim(&place->queue, BRAID_OK);
    if (node) atomic_fetch_add(&wins, 1);
    braid_guard_leave(&place->guard);
    check(!node || (node == &place->choice.node && braid_wait_node_waiter(node) == &contended));
    braid_wait_node_leave(&place->choice.node);
    check(place->choice.node.chosen == (node != NULL));
    pthread_barrier_wait(&barrier);
    check(atomic_load(&wins) == 1 && braid_list_empty(&place->queue.nodes));
  }
  return NULL;
}

static void one_case_is_chosen(void) {
  pthread_barrier_init(&barrier, NULL, THREADS);
  braid_waiter_init(&contended, NULL, BRAID_WAITER_TASK);
  for (uint16_t i = 0; i < CASES; i++) {
    braid_guard_init(&places[i].guard, true);
    braid_wait_queue_init(&places[i].queue, &places[i].guard);
    braid_wait_node_init(&places[i].choice.node, (uint16_t)(i + 1));
    places[i].choice.waiter = &contended;
  }
  run_threads(serve_a_queue, places, sizeof *places);
  for (int i = 0; i < CASES; i++) braid_guard_term(&places[i].guard);
  pthread_barrier_destroy(&barrier);
}

/* ---- wait queues ---------------------------------------------------------------------------------------------- */

enum { COUNT = 5 };
static struct braid_waiter waiters[COUNT];

static void stand_in_queue(struct braid_wait_queue *queue) {
  braid_wait_queue_init(queue, NULL);
  for (int i = 0; i < COUNT; i++) {
    braid_waiter_init(&waiters[i], NULL, BRAID_WAITER_TASK);
    braid_waiter_arm(&waiters[i]);
    braid_wait_node_join(&waiters[i].node, queue);
  }
}

static void first_come_first_served(void) {
  struct braid_wait_queue queue;
  stand_in_queue(&queue);
  for (int i = 0; i < COUNT; i++) {
    struct braid_wait_node *node = braid_wait_queue_claim(&queue, BRAID_CLOSED);
    check(node == &waiters[i].node && node->chosen && waiters[i].status == BRAID_CLOSED);
  }
  check(braid_wait_queue_claim(&queue, BRAID_OK) == NULL);
}

static void passes_over_who_has_gone(void) {
  struct braid_wait_queue queue;
  stand_in_queue(&queue);
  check(braid_waiter_claim(&waiters[0], BRAID_TIMEOUT)); /* claimed elsewhere, not out of the wait queue yet */
  braid_wait_node_leave(&waiters[1].node);
  braid_wait_node_leave(&waiters[1].node); /* twice: harmless */
  check(braid_wait_queue_claim(&queue, BRAID_OK) == &waiters[2].node);
  check(waiters[0].status == BRAID_TIMEOUT && !waiters[0].node.chosen);
  braid_wait_node_leave(&waiters[0].node); /* pushed out already: harmless */
  check(braid_wait_queue_claim(&queue, BRAID_OK) == &waiters[3].node);
}

static void claims_all_in_order(void) {
  struct braid_wait_queue queue;
  struct braid_wake_list woken = {0};
  stand_in_queue(&queue);
  check(braid_waiter_claim(&waiters[3], BRAID_CANCELLED));
  braid_wait_queue_claim_all(&queue, BRAID_BROKEN, &woken);
  check(braid_list_empty(&queue.nodes));
  const int order[] = {0, 1, 2, 4};
  for (int i = 0; i < 4; i++) {
    struct braid_waiter *waiter = braid_wake_list_pop(&woken);
    check(waiter == &waiters[order[i]] && waiter->status == BRAID_BROKEN);
  }
  check(braid_wake_list_pop(&woken) == NULL);
}

CHECK_MAIN({"waiter: exactly one claims it", exactly_one_claims}, {"waiter: one case is chosen", one_case_is_chosen},
           {"wait queue: first come, first served", first_come_first_served},
           {"wait queue: passes over who has gone", passes_over_who_has_gone},
           {"wait queue: claims all in order", claims_all_in_order})
