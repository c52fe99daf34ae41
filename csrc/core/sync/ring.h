/* SPDX-License-Identifier: MIT
 * The items of a queue while nobody waits: a ring with two ends. Each end has a separate mutex, so one thread can put
 * while another gets. See docs/CONCURRENCY.md, section 7. The queue opens and closes the ring under its guard. While
 * the ring is closed, the guard protects its cells. */
#ifndef BRAID_RING_H
#define BRAID_RING_H

#include "core/sync/message.h"

struct braid_queue_cell {
  struct braid_item item;
  double key;       /* the smallest key leaves first */
  uint64_t arrival; /* of equal keys the oldest leaves first */
};

struct braid_ring_end {
  pthread_mutex_t mutex;
  atomic_size_t at;   /* how many items have passed this end */
  size_t seen;        /* the last value read from the other end's `at`; under this end's mutex */
  atomic_uchar skips; /* how many more times a thread does not spin before it waits */
  atomic_uchar vain;  /* the value of `skips` after the next spin without success */
};

enum { BRAID_RING_GAP = 128 }; /* bytes between fields that different ends write, so that they share no cache line */

struct braid_ring {
  atomic_bool open;
  bool growing; /* the queue has more room than the ring has cells; a full ring is closed then, and the queue grows */
  atomic_size_t limit;
  size_t mask;
  struct braid_queue_cell *cells;
  char gap[BRAID_RING_GAP];
  struct braid_ring_end head; /* where items leave */
  char gap_between[BRAID_RING_GAP];
  struct braid_ring_end tail;     /* where items enter */
  char gap_after[BRAID_RING_GAP]; /* the next block of memory may be another queue */
};

/* Which cells are used: those from head to tail. Both are counters that wrap around. */
struct braid_ring_span {
  size_t head, tail;
};

/* The thread that makes, or destroys, the queue. Do not block. */
void braid_ring_init(struct braid_ring *ring);
void braid_ring_term(struct braid_ring *ring);

/* ---- any thread with a reference to the queue; these block only while another thread is at the same end, for a few
 * instructions. `shared`: there may be other threads. BRAID_WAIT: the caller must use the queue's guard, because the
 * ring is closed or must grow. ---- */

/* BRAID_OK. BRAID_FULL: the caller keeps the item. */
enum braid_status braid_ring_put(struct braid_ring *ring, bool shared, struct braid_item item);

/* BRAID_OK: the caller owns *item. BRAID_EMPTY. */
enum braid_status braid_ring_get(struct braid_ring *ring, bool shared, struct braid_item *item);

/* Spin until the other side makes room, or puts an item. False: that did not happen, or the ring is closed, or there is
 * no other core, or recent spins had no success. Block for about 2 us at most. */
bool braid_ring_expect_room(struct braid_ring *ring);
bool braid_ring_expect_item(struct braid_ring *ring);

/* ---- under the queue's guard ---- */

/* Opens the ring. It has `mask` + 1 cells; those from `span.head` to `span.tail` are used. It takes at most `room`
 * items. Does not block. */
void braid_ring_open(struct braid_ring *ring, struct braid_queue_cell *cells, size_t mask, struct braid_ring_span span,
                     size_t room);

/* Closes the ring and returns which cells are used. After it nobody is at an end, until the ring is opened again.
 * Blocks for as long as others are at an end, for a few instructions. */
struct braid_ring_span braid_ring_close(struct braid_ring *ring, bool shared);

/* The counter of the tail: it grows by one with each item that comes in. Any thread; does not block. */
static inline size_t braid_ring_arrived(struct braid_ring *ring) {
  return atomic_load_explicit(&ring->tail.at, memory_order_acquire);
}

/* Any thread; does not block. It changes only under the guard. */
static inline bool braid_ring_is_open(struct braid_ring *ring) {
  return atomic_load_explicit(&ring->open, memory_order_acquire);
}

#endif
