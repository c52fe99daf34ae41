/* SPDX-License-Identifier: MIT
 * The two ends of a ring: alone, with threads at both, and while somebody closes and opens it all the time. */
#include "core/sync/ring.h"

#include <sched.h>
#include <stdlib.h>

#include "check.h"

enum { CELLS = 8 };

static struct braid_ring *new_ring(struct braid_queue_cell *cells, size_t room) {
  struct braid_ring *ring = calloc(1, sizeof *ring);
  if (!ring) abort();
  braid_ring_init(ring);
  braid_ring_open(ring, cells, CELLS - 1, (struct braid_ring_span){0, 0}, room);
  return ring;
}

static void free_ring(struct braid_ring *ring) {
  braid_ring_term(ring);
  free(ring);
}

static enum braid_status put(struct braid_ring *ring, uint64_t number) {
  return braid_ring_put(ring, true, (struct braid_item){number, BRAID_ITEM_INTEGER});
}

/* -1: none is there, -2: it is closed. */
static int64_t get(struct braid_ring *ring) {
  struct braid_item item;
  enum braid_status status = braid_ring_get(ring, true, &item);
  return status == BRAID_OK ? (int64_t)item.bits : status == BRAID_EMPTY ? -1 : -2;
}

static void keeps_order_and_bound(void) {
  struct braid_queue_cell cells[CELLS];
  struct braid_ring *ring = new_ring(cells, 5);
  for (uint64_t round = 0; round < 100; round++) {
    for (uint64_t i = 0; i < 5; i++) check(put(ring, round + i) == BRAID_OK);
    check(put(ring, 99) == BRAID_FULL && !braid_ring_expect_room(ring));
    for (uint64_t i = 0; i < 5; i++) check(get(ring) == (int64_t)(round + i));
    check(get(ring) == -1 && !braid_ring_expect_item(ring));
  }
  check(braid_ring_arrived(ring) == 500);
  free_ring(ring);
}

static void asks_for_more_cells(void) {
  struct braid_queue_cell cells[CELLS];
  struct braid_ring *ring = new_ring(cells, SIZE_MAX);
  for (uint64_t i = 0; i < CELLS; i++) check(put(ring, i) == BRAID_OK);
  check(put(ring, 99) == BRAID_WAIT && get(ring) == 0 && put(ring, CELLS) == BRAID_OK);
  free_ring(ring);
}

static void is_closed_and_opened(void) {
  struct braid_queue_cell cells[CELLS];
  struct braid_ring *ring = new_ring(cells, CELLS);
  for (uint64_t i = 0; i < 7; i++) check(put(ring, i) == BRAID_OK);
  for (int64_t i = 0; i < 3; i++) check(get(ring) == i);
  struct braid_ring_span span = braid_ring_close(ring, true);
  check(span.head == 3 && span.tail == 7);
  check(put(ring, 9) == BRAID_WAIT && get(ring) == -2);
  check(!braid_ring_expect_item(ring) && !braid_ring_expect_room(ring));
  span.head--; /* one goes back */
  braid_ring_open(ring, cells, CELLS - 1, span, 5);
  check(put(ring, 7) == BRAID_FULL); /* it holds 5 */
  for (int64_t i = 2; i < 7; i++) check(get(ring) == i);
  check(get(ring) == -1);
  /* the counters may wrap around */
  braid_ring_close(ring, true);
  braid_ring_open(ring, cells, CELLS - 1, (struct braid_ring_span){SIZE_MAX - 1, SIZE_MAX - 1}, CELLS);
  for (uint64_t i = 0; i < CELLS; i++) check(put(ring, i) == BRAID_OK);
  check(put(ring, 99) == BRAID_FULL);
  for (int64_t i = 0; i < CELLS; i++) check(get(ring) == i);
  free_ring(ring);
}

/* ---- threads at its ends -------------------------------------------------------------------------------------- */

enum { SIDES = 2, ITEMS = 30000 };

static struct {
  struct braid_ring *ring;
  struct braid_queue_cell cells[CELLS];
  atomic_int seen[SIDES * ITEMS];
  atomic_int received;
  int producers;
} traffic;

static void *produce(void *argument) {
  uint64_t number = (uintptr_t)argument;
  for (uint64_t i = 0; i < ITEMS; i++)
    while (put(traffic.ring, number * ITEMS + i) != BRAID_OK)
      if (!braid_ring_expect_room(traffic.ring)) sched_yield();
  return NULL;
}

static void *consume(void *ignored) {
  int64_t last[SIDES] = {-1, -1};
  while (atomic_load(&traffic.received) < traffic.producers * ITEMS) {
    int64_t number = get(traffic.ring);
    if (number < 0) {
      if (!braid_ring_expect_item(traffic.ring)) sched_yield();
      continue;
    }
    check(atomic_fetch_add(&traffic.seen[number], 1) == 0);
    check(number > last[number / ITEMS]); /* what one thread put comes to another in its order */
    last[number / ITEMS] = number;
    atomic_fetch_add(&traffic.received, 1);
  }
  return ignored;
}

/* As whoever enters the queue's guard: looks, and leaves the ring as it was. */
static void disturb(void) {
  while (atomic_load(&traffic.received) < traffic.producers * ITEMS) {
    struct braid_ring_span span = braid_ring_close(traffic.ring, true);
    check(span.tail - span.head <= 5);
    for (size_t i = span.head; i != span.tail; i++) check(traffic.cells[i % CELLS].item.tag == BRAID_ITEM_INTEGER);
    braid_ring_open(traffic.ring, traffic.cells, CELLS - 1, span, 5);
    usleep(20);
  }
}

static void run_traffic(int producers, int consumers, bool disturbed) {
  pthread_t producing[SIDES], consuming[SIDES];
  memset(&traffic, 0, sizeof traffic);
  traffic.ring = new_ring(traffic.cells, 5);
  traffic.producers = producers;
  for (int i = 0; i < consumers; i++) check(braid_thread_start(&consuming[i], consume, NULL) == 0);
  for (int i = 0; i < producers; i++) check(braid_thread_start(&producing[i], produce, (void *)(uintptr_t)i) == 0);
  if (disturbed) disturb();
  for (int i = 0; i < producers; i++) pthread_join(producing[i], NULL);
  for (int i = 0; i < consumers; i++) pthread_join(consuming[i], NULL);
  check(get(traffic.ring) == -1 && braid_ring_arrived(traffic.ring) == (size_t)producers * ITEMS);
  free_ring(traffic.ring);
}

static void passes_each_item_once(void) {
  run_traffic(1, 1, false);
  run_traffic(SIDES, SIDES, false);
}

static void loses_nothing_when_it_is_closed(void) {
  run_traffic(1, 1, true);
  run_traffic(SIDES, SIDES, true);
}

CHECK_MAIN({"ring: keeps order and bound", keeps_order_and_bound}, {"ring: asks for more cells", asks_for_more_cells},
           {"ring: is closed and opened", is_closed_and_opened}, {"ring: passes each item once", passes_each_item_once},
           {"ring: loses nothing when it is closed", loses_nothing_when_it_is_closed})
