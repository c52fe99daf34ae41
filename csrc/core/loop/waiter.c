/* SPDX-License-Identifier: MIT
 * Claims and wait queues. The invariant: a waiting node is removed only under its queue's guard, and a waiter's memory
 * lives until its nodes have left their queues. So a thread that holds the guard may touch the waiter. */
#include "core/loop/waiter.h"

/* Release order: the home thread may see that a node is in no queue, and then uses it again without the queue's guard.
 */
static void set_queue(struct braid_wait_node *node, struct braid_wait_queue *queue) {
  atomic_store_explicit(&node->queue, queue, memory_order_release);
}

void braid_wait_queue_init(struct braid_wait_queue *queue, struct braid_guard *guard) {
  braid_list_init(&queue->nodes);
  queue->guard = guard;
}

unsigned braid_wait_queue_length(const struct braid_wait_queue *queue) {
  enum { MOST = 1000 };
  unsigned count = 0;
  for (const struct braid_list *at = queue->nodes.next; at != &queue->nodes && count < MOST; at = at->next) count++;
  return count;
}

void braid_waiter_init(struct braid_waiter *waiter, struct braid_loop *home, enum braid_waiter_kind kind) {
  *waiter = (struct braid_waiter){.home = home, .kind = (uint8_t)kind};
  braid_wait_node_init(&waiter->node, 0);
  atomic_init(&waiter->claimed, 1);
}

bool braid_waiter_claim(struct braid_waiter *waiter, enum braid_status status) {
  unsigned char expected = 0;
  if (!atomic_compare_exchange_strong_explicit(&waiter->claimed, &expected, 1, memory_order_acq_rel,
                                               memory_order_acquire))
    return false;
  waiter->status = (uint8_t)status;
  return true;
}

void braid_wait_node_init(struct braid_wait_node *node, uint16_t position) {
  *node = (struct braid_wait_node){.position = position};
  braid_list_init(&node->link);
}

void braid_wait_node_join(struct braid_wait_node *node, struct braid_wait_queue *queue) {
  set_queue(node, queue);
  braid_list_push(&queue->nodes, &node->link);
}

void braid_wait_node_leave(struct braid_wait_node *node) {
  struct braid_wait_queue *queue = atomic_load_explicit(&node->queue, memory_order_acquire);
  if (!queue) return;
  set_queue(node, NULL);
  if (queue->guard) braid_guard_enter(queue->guard);
  if (!braid_list_empty(&node->link)) braid_list_remove(&node->link);
  if (queue->guard) braid_guard_leave(queue->guard);
}

struct braid_waiter *braid_wait_node_waiter(struct braid_wait_node *node) {
  if (node->position == 0) return braid_container(node, struct braid_waiter, node);
  return braid_container(node, struct braid_case, node)->waiter;
}

struct braid_wait_node *braid_wait_queue_claim(struct braid_wait_queue *queue, enum braid_status status) {
  struct braid_list *link;
  while ((link = braid_list_pop(&queue->nodes))) {
    struct braid_wait_node *node = braid_container(link, struct braid_wait_node, link);
    if (!braid_waiter_claim(braid_wait_node_waiter(node), status)) {
      if (!queue->guard)
        set_queue(node, NULL); /* such a queue may end before the waiter, which another case has claimed, is resumed */
      continue;
    }
    node->chosen = 1;
    set_queue(node, NULL); /* it has left: braid_wait_node_leave need not enter the guard */
    return node;
  }
  return NULL;
}

void braid_wait_queue_dissolve(struct braid_wait_queue *queue) {
  struct braid_list *link;
  while ((link = braid_list_pop(&queue->nodes))) set_queue(braid_container(link, struct braid_wait_node, link), NULL);
}

void braid_wait_queue_claim_all(struct braid_wait_queue *queue, enum braid_status status,
                                struct braid_wake_list *list) {
  struct braid_wait_node *node;
  while ((node = braid_wait_queue_claim(queue, status))) braid_wake_list_push(list, braid_wait_node_waiter(node));
}
