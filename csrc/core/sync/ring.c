/* SPDX-License-Identifier: MIT
 * Order of mutexes: the queue's guard, the head's, the tail's. A thread that holds an end's mutex enters no other one;
 * only closing the ring enters both. `cells`, `mask` and `limit` are read at both ends. They change only while the ring
 * is closed: opening publishes them, and closing waits until both ends are free. */
#include "core/sync/ring.h"

#include "core/base/clock.h"

void braid_ring_init(struct braid_ring *ring) {
  braid_thread_may_spin(); /* fills its cache now; a thread may have fewer cores than the process */
  pthread_mutex_init(&ring->head.mutex, NULL);
  pthread_mutex_init(&ring->tail.mutex, NULL);
}

void braid_ring_term(struct braid_ring *ring) {
  pthread_mutex_destroy(&ring->head.mutex);
  pthread_mutex_destroy(&ring->tail.mutex);
}

/* ---- put and get ---------------------------------------------------------------------------------------------- */

/* False: the ring is closed. */
static inline bool enter(struct braid_ring *ring, struct braid_ring_end *end, bool shared) {
  if (!braid_ring_is_open(ring)) return false;
  if (!shared) return true;
  braid_mutex_enter(&end->mutex);
  if (braid_ring_is_open(ring)) return true;
  pthread_mutex_unlock(&end->mutex);
  return false;
}

static inline void leave(struct braid_ring_end *end, bool shared) {
  if (shared) pthread_mutex_unlock(&end->mutex);
}

static inline size_t own(const struct braid_ring_end *end) {
  return atomic_load_explicit(&end->at, memory_order_relaxed);
}

static inline size_t other(const struct braid_ring_end *end) {
  return atomic_load_explicit(&end->at, memory_order_acquire);
}

static inline void publish(struct braid_ring_end *end, size_t at) {
  atomic_store_explicit(&end->at, at, memory_order_release);
}

static inline size_t limit_of(struct braid_ring *ring) {
  return atomic_load_explicit(&ring->limit, memory_order_relaxed);
}

enum braid_status braid_ring_put(struct braid_ring *ring, bool shared, struct braid_item item) {
  struct braid_ring_end *tail = &ring->tail;
  if (!enter(ring, tail, shared)) return BRAID_WAIT;
  size_t at = own(tail), limit = limit_of(ring);
  if (at - tail->seen >= limit) tail->seen = other(&ring->head);
  bool has_room = at - tail->seen < limit;
  enum braid_status refusal = ring->growing ? BRAID_WAIT : BRAID_FULL;
  if (has_room) {
    ring->cells[at & ring->mask].item = item;
    publish(tail, at + 1);
  }
  leave(tail, shared);
  return has_room ? BRAID_OK : refusal;
}

enum braid_status braid_ring_get(struct braid_ring *ring, bool shared, struct braid_item *item) {
  struct braid_ring_end *head = &ring->head;
  if (!enter(ring, head, shared)) return BRAID_WAIT;
  size_t at = own(head);
  if (at == head->seen) head->seen = other(&ring->tail);
  bool has_item = at != head->seen;
  if (has_item) {
    *item = ring->cells[at & ring->mask].item;
    publish(head, at + 1);
  }
  leave(head, shared);
  return has_item ? BRAID_OK : BRAID_EMPTY;
}

/* ---- spinning ------------------------------------------------------------------------------------------------- */

/* How many items or places this end could use now. */
typedef size_t available(struct braid_ring *ring);

static inline size_t items(struct braid_ring *ring) { return own(&ring->tail) - own(&ring->head); }

static inline size_t room(struct braid_ring *ring) {
  size_t limit = limit_of(ring), count = items(ring);
  return count < limit ? limit - count : 0;
}

/* Whether this end may spin now. */
static bool may_look(struct braid_ring_end *end) {
  unsigned char skips = atomic_load_explicit(&end->skips, memory_order_relaxed);
  if (skips == 0) return braid_thread_may_spin();
  atomic_store_explicit(&end->skips, skips - 1, memory_order_relaxed);
  return false;
}

/* Adapts `skips` to the result. After spins without success, the next 1, 3, 7, ... 63 spins are left out. */
static bool learn(struct braid_ring_end *end, bool found) {
  unsigned char vain = atomic_load_explicit(&end->vain, memory_order_relaxed);
  if (!found && vain < 63) vain = (unsigned char)(vain * 2 + 1);
  if (found) vain = 0;
  atomic_store_explicit(&end->vain, vain, memory_order_relaxed);
  atomic_store_explicit(&end->skips, vain, memory_order_relaxed);
  return found;
}

/* Spins until the clock has reached `then`. */
static int64_t pass_time(int64_t then) {
  int64_t now;
  do {
    braid_thread_relax();
    braid_thread_relax();
    now = braid_clock_now();
  } while (now < then);
  return now;
}

/* Spins until `count` is large enough, or does not grow any more. Each look at the other side's counter slows that side
 * down, so the pauses double while the count grows. A single item is most often a reply to a request, so it is taken at
 * once. */
BRAID_INLINE bool look(struct braid_ring *ring, struct braid_ring_end *end, available *count) {
  enum { MOMENT = 2000, FIRST_GAP = 100, MOST = 64 }; /* ns, ns, items */
  if (!may_look(end)) return false;
  size_t found = 0, before, enough = (limit_of(ring) + 1) / 2;
  if (enough > MOST) enough = MOST;
  int64_t now = braid_clock_now(), until = now + MOMENT, gap = FIRST_GAP;
  while (now < until) {
    now = pass_time(now + gap);
    if (!braid_ring_is_open(ring)) return false;
    before = found;
    found = count(ring);
    if (found == 1 || found >= enough || (found > 0 && found <= before)) break;
    if (found > 0) gap *= 2;
  }
  return learn(end, found > 0);
}

bool braid_ring_expect_room(struct braid_ring *ring) { return look(ring, &ring->tail, room); }

bool braid_ring_expect_item(struct braid_ring *ring) { return look(ring, &ring->head, items); }

/* ---- opening and closing -------------------------------------------------------------------------------------- */

void braid_ring_open(struct braid_ring *ring, struct braid_queue_cell *cells, size_t mask, struct braid_ring_span span,
                     size_t room) {
  ring->cells = cells;
  ring->mask = mask;
  ring->growing = room > mask + 1;
  atomic_store_explicit(&ring->limit, ring->growing ? mask + 1 : room, memory_order_relaxed);
  ring->head.seen = span.tail;
  ring->tail.seen = span.head;
  atomic_store_explicit(&ring->head.at, span.head, memory_order_relaxed);
  atomic_store_explicit(&ring->tail.at, span.tail, memory_order_relaxed);
  atomic_store_explicit(&ring->open, true, memory_order_release);
}

struct braid_ring_span braid_ring_close(struct braid_ring *ring, bool shared) {
  if (shared) {
    braid_mutex_enter(&ring->head.mutex);
    braid_mutex_enter(&ring->tail.mutex);
  }
  atomic_store_explicit(&ring->open, false, memory_order_relaxed);
  struct braid_ring_span span = {own(&ring->head), own(&ring->tail)};
  if (shared) {
    pthread_mutex_unlock(&ring->tail.mutex);
    pthread_mutex_unlock(&ring->head.mutex);
  }
  return span;
}
