/* SPDX-License-Identifier: MIT
 * The items of a queue for which nobody waits: a ring with two ends, each with a mutex of its own, so that one thread
 * puts while another gets. See docs/CONCURRENCY.md, section 7. The queue's guard opens and closes it; while it is
 * closed its cells are the guard's. */
#ifndef BRAID_RING_H
#define BRAID_RING_H

#include "core/sync/message.h"

struct braid_queue_cell {
  struct braid_item item;
  double key;       /* the smallest leaves first */
  uint64_t arrival; /* and among equals the oldest */
};

struct braid_ring_end {
  pthread_mutex_t mutex;
  atomic_size_t at;   /* items that have passed this end */
  size_t seen;        /* of the other end's `at`. Under this end's mutex */
  atomic_uchar skips; /* so many times nobody looks for a moment before it waits */
  atomic_uchar vain;  /* how many times after the next look in vain */
};

enum { BRAID_RING_GAP = 128 }; /* bytes: what one end writes and the other does not is in no common cache line */

struct braid_ring {
  atomic_bool open;
  bool growing; /* no room in the cells is not yet a full queue */
  atomic_size_t limit;
  size_t mask;
  struct braid_queue_cell *cells;
  char gap[BRAID_RING_GAP];
  struct braid_ring_end head; /* where items leave */
  char gap_between[BRAID_RING_GAP];
  struct braid_ring_end tail; /* where they come in */
};

/* What of the cells is taken. The counters are the ends' own: they wrap around. */
struct braid_ring_span {
  size_t head, tail;
};

void braid_ring_init(struct braid_ring *ring);
void braid_ring_term(struct braid_ring *ring);

/* ---- any thread that holds the queue; blocks for the few instructions that another one is at the same end. `shared`:
 * there may be others. BRAID_WAIT: the guard decides, for the ring is closed or has to grow. ---- */

/* BRAID_OK, BRAID_FULL: the caller keeps the item. */
enum braid_status braid_ring_put(struct braid_ring *ring, bool shared, struct braid_item item);

/* BRAID_OK: *item is the caller's. BRAID_EMPTY. */
enum braid_status braid_ring_get(struct braid_ring *ring, bool shared, struct braid_item *item);

/* Looks for a moment whether the other side makes room, or puts an item. False: not, or the ring is closed, or there is
 * no other core, or looking was in vain lately. Blocks for about 2 us. */
bool braid_ring_expect_room(struct braid_ring *ring);
bool braid_ring_expect_item(struct braid_ring *ring);

/* ---- inside the queue's guard ---- */

/* The cells from `span.head` to `span.tail` are taken, of `mask` + 1 in all; `room` may be. */
void braid_ring_open(struct braid_ring *ring, struct braid_queue_cell *cells, size_t mask, struct braid_ring_span span,
                     size_t room);

/* Nobody is at an end afterwards, until it is opened again. */
struct braid_ring_span braid_ring_close(struct braid_ring *ring, bool shared);

/* Items that have come in through an open ring. */
static inline size_t braid_ring_arrived(struct braid_ring *ring) {
  return atomic_load_explicit(&ring->tail.at, memory_order_acquire);
}

/* Changed inside the guard only. */
static inline bool braid_ring_is_open(struct braid_ring *ring) {
  return atomic_load_explicit(&ring->open, memory_order_acquire);
}

#endif
