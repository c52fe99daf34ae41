/* SPDX-License-Identifier: MIT
 * A queue of items with room for `maxsize`, for tasks of one loop and for any number of threads. A put that meets a
 * waiting get hands its item over; a get that makes room lets the longest waiting put in. So both sides are served
 * first come, first served, and an item is always in exactly one place: with its putter, in the queue, or with its
 * getter. Any thread; blocks only for the guard. */
#ifndef BRAID_QUEUE_H
#define BRAID_QUEUE_H

#include "core/sync/ring.h"

enum braid_queue_order { BRAID_FIFO, BRAID_LIFO, BRAID_PRIORITY };

struct braid_queue {
  struct braid_object object;
  struct braid_wait_queue getters, putters, joiners;
  struct braid_queue_cell *cells; /* a ring; for BRAID_PRIORITY a binary heap that starts at 0 */
  size_t capacity, first, size;
  size_t maxsize; /* 0: no bound */
  size_t unfinished;
  size_t reserved; /* places that are kept for puts to come: see braid_queue_reserve */
  size_t leased;   /* items that another process holds: see braid_queue_lease */
  uint64_t arrivals;
  enum braid_queue_order order;
  bool closed, dropped;   /* dropped: closed at once, items are not kept */
  bool recent_first;      /* who began to wait last gets first: it is the one that is still awake */
  size_t counted;         /* of what has come in through the open ring: is in `unfinished` */
  struct braid_ring ring; /* open while nobody waits: `first`, `size` and `unfinished` are not up to date then */
};

extern const struct braid_class braid_queue_class;

/* NULL when memory is out. */
struct braid_queue *braid_queue_new(size_t maxsize, enum braid_queue_order order);

/* BRAID_OK: the queue has the item. BRAID_CLOSED, BRAID_FULL (no wait node), BRAID_NO_MEMORY: the caller keeps it.
 * BRAID_WAIT: the wait node stands in the wait queue with it; if the wait ends otherwise than BRAID_OK the caller has
 * it again. */
enum braid_status braid_queue_put(struct braid_queue *queue, struct braid_item item, double key,
                                  struct braid_wait_node *node);

/* A select gives the wait node of one of its cases to put and get: then BRAID_WAIT may also mean that another case has
 * come before, and after BRAID_OK the waiter is claimed. */

/* BRAID_OK: *item is the caller's. BRAID_CLOSED, BRAID_EMPTY (no wait node). BRAID_WAIT: when the wait ends BRAID_OK
 * the item is in the node. */
enum braid_status braid_queue_get(struct braid_queue *queue, struct braid_item *item, struct braid_wait_node *node);

/* After BRAID_FULL and BRAID_EMPTY, before a wait: looks for about 2 us whether another thread changes it. False: no,
 * or it is not likely. Not where something else could be done meanwhile. */
bool braid_queue_expect_room(struct braid_queue *queue);
bool braid_queue_expect_item(struct braid_queue *queue);

/* BRAID_MISUSE when there were not so many puts. */
enum braid_status braid_queue_task_done(struct braid_queue *queue);

/* BRAID_OK when every item that was put is done; BRAID_WAIT otherwise. */
enum braid_status braid_queue_join(struct braid_queue *queue, struct braid_wait_node *node);

/* Puts fail from now on, gets drain what is there; `immediate` drops it and lets everybody go. */
void braid_queue_close(struct braid_queue *queue, bool immediate);

/* ---- for another process (see docs/CONCURRENCY.md, section 9): it holds places and items. While it does, a closed
 * queue does not tell its getters that it is drained. ---- */

/* Keeps places for up to `most` puts; how many it were. */
size_t braid_queue_reserve(struct braid_queue *queue, size_t most);
/* Keeps one place. BRAID_OK: it is kept. BRAID_CLOSED. BRAID_WAIT: the wait node stands in the wait queue; when the
 * wait ends BRAID_OK the place is kept. */
enum braid_status braid_queue_await_place(struct braid_queue *queue, struct braid_wait_node *node);
/* A put into such a place, which always has room. BRAID_CLOSED: the queue drops what comes. BRAID_NO_MEMORY. Either way
 * the place is used up; the caller keeps the item. */
enum braid_status braid_queue_put_reserved(struct braid_queue *queue, struct braid_item item, double key);
void braid_queue_unreserve(struct braid_queue *queue, size_t count);

/* Takes up to `most` items in order, without waiting; how many it were. A get whose wait node has the tag
 * BRAID_ITEM_PLACE leases its item, too, and finds its key in the node. */
size_t braid_queue_lease(struct braid_queue *queue, struct braid_queue_cell *cells, size_t most);
/* So many of the leased items have been used. */
void braid_queue_settle(struct braid_queue *queue, size_t count);

/* Gives leased items back to the head, in order, as if they had not been taken. They are the queue's. */
void braid_queue_put_back(struct braid_queue *queue, struct braid_queue_cell *cells, size_t count);

/* Shows every item in the queue or with a waiting putter to `visit`, which may change it, under the guard. */
void braid_queue_visit(struct braid_queue *queue, void (*visit)(struct braid_item *item, void *context), void *context);

/* A holder gives its reference up: when only the queue's own items mention it then, nobody can ever get them, and they
 * are dropped, which frees it. */
void braid_queue_leave(struct braid_queue *queue);

struct braid_queue_facts {
  size_t size, maxsize;
  bool closed;
};
struct braid_queue_facts braid_queue_look(struct braid_queue *queue);

#endif
