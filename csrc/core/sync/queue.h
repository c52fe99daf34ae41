/* SPDX-License-Identifier: MIT
 * A queue of items with at most `maxsize` items, for tasks of one loop and for any number of threads. A put hands its
 * item to a waiting get directly. A get that makes room lets the put in that has waited longest. So both sides are
 * served in FIFO order. An item is always in exactly one of three places: with its putter, in the queue, or with its
 * getter. Any thread; each function blocks only to enter the guard, which others hold for a short time. */
#ifndef BRAID_QUEUE_H
#define BRAID_QUEUE_H

#include "core/sync/ring.h"

enum braid_queue_order { BRAID_FIFO, BRAID_LIFO, BRAID_PRIORITY };

struct braid_queue {
  struct braid_object object;
  struct braid_wait_queue getters, putters, joiners;
  struct braid_queue_cell *cells; /* a ring; for BRAID_PRIORITY a binary heap that starts at index 0 */
  size_t capacity, first, size;
  size_t maxsize; /* 0: no bound */
  size_t unfinished;
  uint64_t finished; /* items that are done, or were dropped */
  size_t reserved;   /* places that are kept for later puts: see braid_queue_reserve */
  size_t leased;     /* items that another process has: see braid_queue_lease */
  uint64_t arrivals;
  enum braid_queue_order order;
  bool closed, dropped;   /* dropped: closed at once; items are not kept */
  bool recent_first;      /* LIFO among getters: the last one to wait is most likely still awake */
  size_t counted;         /* the ring's tail counter, up to which items are part of `unfinished` */
  struct braid_ring ring; /* open while nobody waits; `first`, `size` and `unfinished` are out of date then */
};

extern const struct braid_class braid_queue_class;

/* NULL when memory is out. */
struct braid_queue *braid_queue_new(size_t maxsize, enum braid_queue_order order);

/* BRAID_OK: the queue owns the item. BRAID_CLOSED, BRAID_FULL (only without a wait node), BRAID_NO_MEMORY: the caller
 * keeps it. BRAID_WAIT: the wait node is in the wait queue and has the item. If the wait ends with another status than
 * BRAID_OK, the caller has the item again. */
enum braid_status braid_queue_put(struct braid_queue *queue, struct braid_item item, double key,
                                  struct braid_wait_node *node);

/* A select passes the wait node of one of its cases to put and get. Then BRAID_WAIT can also mean that another case was
 * first. After BRAID_OK the waiter is claimed. */

/* BRAID_OK: the caller owns *item. BRAID_CLOSED. BRAID_EMPTY (only without a wait node). BRAID_WAIT: when the wait ends
 * with BRAID_OK, the item is in the wait node. */
enum braid_status braid_queue_get(struct braid_queue *queue, struct braid_item *item, struct braid_wait_node *node);

/* To be called after BRAID_FULL or BRAID_EMPTY, before a wait. Spins, for about 2 us at most, until another thread
 * makes room or puts an item. False: that did not happen, or is not likely, so it did not spin. Not for a thread that
 * has other work to do. Any thread; blocks for that time. */
bool braid_queue_expect_room(struct braid_queue *queue);
bool braid_queue_expect_item(struct braid_queue *queue);

/* BRAID_MISUSE: there were more calls than puts. */
enum braid_status braid_queue_task_done(struct braid_queue *queue);

/* BRAID_OK: every item that was put is done. Else BRAID_WAIT; then `node` must not be NULL. */
enum braid_status braid_queue_join(struct braid_queue *queue, struct braid_wait_node *node);

/* All later puts fail. Gets receive the items that are left. `immediate` drops those items and ends all waits. */
void braid_queue_close(struct braid_queue *queue, bool immediate);

/* ---- for the queue server (see docs/CONCURRENCY.md, section 9): another process holds places and items. While it
 * does, getters of a closed queue still wait, because an item may come or come back. ---- */

/* Keeps places for up to `most` later puts. Returns how many. */
size_t braid_queue_reserve(struct braid_queue *queue, size_t most);
/* Keeps one place. BRAID_OK: it is kept. BRAID_CLOSED. BRAID_WAIT: the wait node is in the wait queue; when the wait
 * ends with BRAID_OK, the place is kept. */
enum braid_status braid_queue_await_place(struct braid_queue *queue, struct braid_wait_node *node);
/* Puts that use up kept places; they always have room. Returns how many items, from the first on, the queue owns. The
 * caller keeps the others, because the queue drops what comes or memory is out; their places are used up all the
 * same. */
size_t braid_queue_put_reserved(struct braid_queue *queue, const struct braid_queue_cell *cells, size_t count);
/* Gives back places that are not needed. */
void braid_queue_unreserve(struct braid_queue *queue, size_t count);

/* Takes up to `most` items in order, without waiting. Returns how many. The caller owns them; they count as leased. A
 * get whose wait node has the tag BRAID_ITEM_PLACE leases its item, too, and gets the item's key in the node. */
size_t braid_queue_lease(struct braid_queue *queue, struct braid_queue_cell *cells, size_t most);
/* So many leased items have been used: they are no longer leased. */
void braid_queue_settle(struct braid_queue *queue, size_t count);

/* Puts leased items back at the head, in the same order, as if they had not been taken. The queue owns them again. */
void braid_queue_put_back(struct braid_queue *queue, struct braid_queue_cell *cells, size_t count);

/* Calls `visit` for every item in the queue or with a waiting putter. `visit` may change the item. It runs under the
 * guard. */
void braid_queue_visit(struct braid_queue *queue, void (*visit)(struct braid_item *item, void *context), void *context);

/* Gives up one reference of a holder. If after that only the queue's own items refer to the queue, nobody can get them
 * any more. Then they are dropped, which frees the queue. */
void braid_queue_leave(struct braid_queue *queue);

struct braid_queue_facts {
  size_t size, maxsize;
  uint64_t arrived;          /* items that were ever put */
  unsigned getters, putters; /* who wait */
  bool closed;
};
struct braid_queue_facts braid_queue_look(struct braid_queue *queue);

#endif
