/* SPDX-License-Identifier: MIT
 * The one way of waiting. A *waiter* is one suspension; it belongs to a loop's thread, its home. It waits in *wait
 * queues* through its *wait nodes*: one node to wait for one thing, several to select. A thread that can end the wait
 * *claims* the waiter; only the first claim succeeds. The claimer then *posts* the waiter to its home loop, which
 * resumes what waits. A waiter is armed again only after all its nodes have left their queues and its loop has taken
 * it, so a wake-up can never be stale. */
#ifndef BRAID_WAITER_H
#define BRAID_WAITER_H

#include <stdatomic.h>

#include "core/base/item.h"
#include "core/base/list.h"
#include "core/base/status.h"
#include "core/base/thread.h"

struct braid_loop;
struct braid_waiter;

/* A FIFO of wait nodes. `guard` is that of the object to which the queue belongs; NULL when only one loop's thread
 * uses it. */
struct braid_wait_queue {
  struct braid_list nodes;
  struct braid_guard *guard;
};

/* A place in a wait queue. The queue's guard protects it while it is in the queue. */
struct braid_wait_node {
  struct braid_list link;
  _Atomic(struct braid_wait_queue *) queue; /* NULL: in none. The home thread also reads it without the guard */
  double key;                               /* the priority of the item that a put brings */
  uint64_t bits;                            /* with tag: the item that a put brings or a get receives */
  uint8_t tag;
  uint8_t chosen;    /* the claim came through this node */
  uint16_t position; /* the case of a select; 0: the waiter's own node */
  uint32_t place;    /* of the waiter's own node: its place in the loop's set of deadlines */
};

enum braid_waiter_kind { BRAID_WAITER_TASK, BRAID_WAITER_JOB, BRAID_WAITER_ERRAND, BRAID_WAITER_REQUEST };

struct braid_waiter {
  union {
    struct braid_wait_node node; /* while it waits */
    struct braid_waiter *next;   /* link of a wake list, after the claim; the node has left its queue by then */
  };
  struct braid_loop *home;
  atomic_uchar claimed;
  uint8_t status; /* enum braid_status; the claimer writes it before it posts */
  uint8_t kind;   /* enum braid_waiter_kind: what the loop's owner does with it */
  uint8_t state;  /* for the owner */
  uint32_t flags; /* for the owner */
};

/* One case of a select: a node that is not its waiter's own. */
struct braid_case {
  struct braid_wait_node node;
  struct braid_waiter *waiter;
};

void braid_wait_queue_init(struct braid_wait_queue *queue, struct braid_guard *guard);

/* Removes all nodes without waking them. For an object that ends while nodes wait, as when a Lua state closes. */
void braid_wait_queue_dissolve(struct braid_wait_queue *queue);

/* How many nodes wait, but at most 1000. Under the queue's guard. */
unsigned braid_wait_queue_length(const struct braid_wait_queue *queue);

/* Home thread. The new waiter counts as claimed: nobody can wake it before it is armed. */
void braid_waiter_init(struct braid_waiter *waiter, struct braid_loop *home, enum braid_waiter_kind kind);

/* Home thread: begins a new wait. */
static inline void braid_waiter_arm(struct braid_waiter *waiter) {
  waiter->status = BRAID_OK;
  waiter->node.chosen = 0;
  atomic_store_explicit(&waiter->claimed, 0, memory_order_release);
}

/* Takes the right to end the wait: true for exactly one caller per arming. Call it on the home thread, or under the
 * guard of a wait queue in which the waiter waits. Does not block. */
bool braid_waiter_claim(struct braid_waiter *waiter, enum braid_status status);

static inline bool braid_waiter_waiting(const struct braid_waiter *waiter) {
  return atomic_load_explicit(&waiter->claimed, memory_order_acquire) == 0;
}

void braid_wait_node_init(struct braid_wait_node *node, uint16_t position);

/* Appends the node to a wait queue. Under the queue's guard. */
void braid_wait_node_join(struct braid_wait_node *node, struct braid_wait_queue *queue);

/* Removes the node from its queue in O(1); does nothing when it is in none. Enters the queue's guard. */
void braid_wait_node_leave(struct braid_wait_node *node);

struct braid_waiter *braid_wait_node_waiter(struct braid_wait_node *node);

/* Whether an object that is ready at once may serve this node. A case of a select must first claim its waiter, because
 * another case may have been first; all other nodes may. Under the object's guard. */
static inline bool braid_wait_node_may_take(struct braid_wait_node *node);

/* Removes and returns the first node whose waiter could be claimed with `status`; NULL when there is none. Under the
 * queue's guard. The caller posts the waiter after it has left the guard. */
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

/* Claimed waiters on the way to their loops: a singly linked list. */
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

/* Claims all waiters of the queue with `status` and appends them to the list. Under the queue's guard. */
void braid_wait_queue_claim_all(struct braid_wait_queue *queue, enum braid_status status, struct braid_wake_list *list);

#endif
