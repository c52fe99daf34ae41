/* SPDX-License-Identifier: MIT
 * The one way of waiting. A *waiter* is one suspension: it belongs to a loop's thread. It stands in *wait queues* by
 * its *wait nodes*: one node when it waits for one thing, several when it selects. Whoever can end the wait *claims*
 * the waiter; only the first claim succeeds. The claimer then *posts* the waiter: it travels home to its loop, which
 * resumes whoever waits. A waiter is used again only after all its nodes have left their queues and it has come
 * home, so no wake can be stale. */
#ifndef BRAID_WAITER_H
#define BRAID_WAITER_H

#include <stdatomic.h>

#include "core/base/list.h"
#include "core/base/status.h"
#include "core/base/thread.h"

struct braid_loop;
struct braid_waiter;

/* A wait queue: first come, first served. The guard is that of the object it belongs to; NULL for what only one
 * loop's thread ever touches. */
struct braid_wait_queue {
  struct braid_list nodes;
  struct braid_guard *guard;
};

/* What travels through a wait node or a queue: a small value itself, an owned reference to a message, or a number by
 * which one Lua state knows a value of its own. */
enum braid_item_tag {
  BRAID_ITEM_NONE,
  BRAID_ITEM_FALSE,
  BRAID_ITEM_TRUE,
  BRAID_ITEM_NULL,
  BRAID_ITEM_INTEGER,
  BRAID_ITEM_NUMBER,
  BRAID_ITEM_REFERENCE,
  BRAID_ITEM_MESSAGE,
  BRAID_ITEM_PLACE /* in a queue's wait queues: of another process, whose put comes later, or whose get is a lease */
};

struct braid_item {
  uint64_t bits;
  uint8_t tag; /* enum braid_item_tag */
};

/* A place in a wait queue. Guarded by the queue's guard while it stands there. */
struct braid_wait_node {
  struct braid_list link;
  _Atomic(struct braid_wait_queue *) queue; /* NULL: in none. At home it is looked at without the guard, too */
  double key;                               /* the priority of an item that a put brings */
  uint64_t bits;                            /* with tag: the item that a put brings or a get received */
  uint8_t tag;
  uint8_t chosen;    /* this node's claim was the one */
  uint16_t position; /* in a select: which case; 0: the waiter's own node */
  uint32_t place;    /* of the waiter's own node: where its deadline stands in the loop's heap */
};

enum braid_waiter_kind { BRAID_WAITER_TASK, BRAID_WAITER_JOB, BRAID_WAITER_ERRAND };

struct braid_waiter {
  union {
    struct braid_wait_node node; /* while it waits */
    struct braid_waiter *next;   /* the next one on the way home; the node has left its queue by then */
  };
  struct braid_loop *home;
  atomic_uchar claimed;
  uint8_t status; /* enum braid_status, written by the claimer before it posts */
  uint8_t kind;   /* enum braid_waiter_kind: what the loop's owner makes of it */
  uint8_t state;  /* the owner's */
  uint32_t flags; /* the owner's */
};

/* One case of a select: a node that is not its waiter's own. */
struct braid_case {
  struct braid_wait_node node;
  struct braid_waiter *waiter;
};

void braid_wait_queue_init(struct braid_wait_queue *queue, struct braid_guard *guard);

/* The object ends while somebody stands in its queue, as happens when a Lua state closes: they will not be woken. */
void braid_wait_queue_dissolve(struct braid_wait_queue *queue);

/* Home thread. After this the waiter counts as claimed: nobody can wake it until it is armed. */
void braid_waiter_init(struct braid_waiter *waiter, struct braid_loop *home, enum braid_waiter_kind kind);

/* Home thread: a new wait begins. */
static inline void braid_waiter_arm(struct braid_waiter *waiter) {
  waiter->status = BRAID_OK;
  waiter->node.chosen = 0;
  atomic_store_explicit(&waiter->claimed, 0, memory_order_release);
}

/* The right to end the wait: true for exactly one caller per arming. Any thread that may touch the waiter: its home,
 * or one that holds the guard of a wait queue in which it stands. Does not block. */
bool braid_waiter_claim(struct braid_waiter *waiter, enum braid_status status);

static inline bool braid_waiter_waiting(const struct braid_waiter *waiter) {
  return atomic_load_explicit(&waiter->claimed, memory_order_acquire) == 0;
}

void braid_wait_node_init(struct braid_wait_node *node, uint16_t position);

/* Joins the end of a wait queue, under its guard. */
void braid_wait_node_join(struct braid_wait_node *node, struct braid_wait_queue *queue);

/* Leaves its queue, O(1); nothing happens when it stands in none. Enters the queue's guard. */
void braid_wait_node_leave(struct braid_wait_node *node);

struct braid_waiter *braid_wait_node_waiter(struct braid_wait_node *node);

/* Whether an object that is ready at once may serve this node: always, but for a case of a select, whose waiter has
 * to be claimed first: another case may have come before. Under the object's guard. */
static inline bool braid_wait_node_may_take(struct braid_wait_node *node);

/* The first of the queue whose waiter could be claimed with `status`, out of the queue; NULL when there is none. Under
 * the queue's guard; the caller posts the waiter when it has left the guard. */
struct braid_wait_node *braid_wait_queue_claim(struct braid_wait_queue *queue, enum braid_status status);

static inline bool braid_wait_node_may_take(struct braid_wait_node *node) {
  if (!node || node->position == 0) return true;
  node->chosen = braid_waiter_claim(braid_wait_node_waiter(node), BRAID_OK);
  return node->chosen;
}

static inline struct braid_item braid_wait_node_item(const struct braid_wait_node *node) {
  return (struct braid_item){node->bits, node->tag};
}
static inline void braid_wait_node_set_item(struct braid_wait_node *node, struct braid_item item) {
  node->bits = item.bits;
  node->tag = item.tag;
}

/* Claimed waiters on their way to their loops: a singly linked list. */
struct braid_wake_list {
  struct braid_waiter *first, *last;
};

static inline void braid_wake_list_push(struct braid_wake_list *list, struct braid_waiter *waiter) {
  waiter->next = NULL;
  if (list->last)
    list->last->next = waiter;
  else
    list->first = waiter;
  list->last = waiter;
}

static inline struct braid_waiter *braid_wake_list_pop(struct braid_wake_list *list) {
  struct braid_waiter *waiter = list->first;
  if (!waiter) return NULL;
  list->first = waiter->next;
  if (!list->first) list->last = NULL;
  braid_list_init(&waiter->node.link);
  return waiter;
}

/* Claims everyone in the queue with `status` and appends them to the list. Under the queue's guard. */
void braid_wait_queue_claim_all(struct braid_wait_queue *queue, enum braid_status status, struct braid_wake_list *list);

#endif
