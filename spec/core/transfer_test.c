/* SPDX-License-Identifier: MIT
 * What values travel in: drafts of messages, code, and the queue that is asked what it holds. */
#include <pthread.h>

#include "core/base/bytecode.h"
#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/sync/queue.h"
#include "check.h"

static struct braid_item enclose(struct braid_object *object) {
  struct braid_message *message = braid_message_new("x", 1, &object, 1);
  return (struct braid_item){(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE};
}

static struct braid_item enclose_both(struct braid_object *first, struct braid_object *second) {
  struct braid_object *objects[] = {first, second};
  return (struct braid_item){(uint64_t)(uintptr_t)braid_message_new("x", 1, objects, 2), BRAID_ITEM_MESSAGE};
}

static void draft_becomes_a_message(void) {
  struct braid_counter *counter = braid_counter_new(1);
  struct braid_object *objects[] = {&counter->object, &counter->object};
  for (size_t size = 0; size < 40; size++) {
    struct braid_message *draft = braid_message_draft(NULL, 10);
    draft = braid_message_draft(draft, 100);
    memset(draft->bytes, 'a', size);
    for (size_t i = 0; i < size % 3; i++) braid_object_ref(objects[i]); /* the message takes them over */
    struct braid_message *message = braid_message_seal(draft, size, objects, (uint32_t)(size % 3));
    check(message->size == size && message->object_count == size % 3);
    for (size_t i = 0; i < size; i++) check(message->bytes[i] == 'a');
    for (uint32_t i = 0; i < message->object_count; i++) check(message->objects[i] == &counter->object);
    check(atomic_load(&counter->object.refs) == 1 + size % 3);
    braid_message_unref(message);
    check(atomic_load(&counter->object.refs) == 1);
  }
  check(braid_message_draft(NULL, SIZE_MAX) == NULL);
  check(braid_message_seal(NULL, SIZE_MAX - 1, NULL, 0) == NULL);
  braid_object_unref(&counter->object);
}

static void code_keeps_its_bytes(void) {
  struct braid_bytecode *code = braid_bytecode_new("\0abc", 4, 3);
  check(code->size == 4 && code->upvalues == 3 && memcmp(code->bytes, "\0abc", 4) == 0);
  check(code->object.class == &braid_bytecode_class);
  braid_object_unref(&code->object);
}

static void count_and_turn(struct braid_item *item, void *context) {
  ++*(unsigned *)context;
  check(item->tag == BRAID_ITEM_INTEGER);
  item->bits += 100;
}

static void queue_shows_what_it_holds(void) {
  unsigned count = 0;
  struct braid_waiter waiter;
  struct braid_queue *queue = braid_queue_new(3, BRAID_FIFO);
  for (uint64_t i = 0; i < 3; i++) braid_queue_put(queue, (struct braid_item){i, BRAID_ITEM_INTEGER}, 0, NULL);
  braid_waiter_init(&waiter, NULL, BRAID_WAITER_TASK);
  braid_waiter_arm(&waiter);
  check(braid_queue_put(queue, (struct braid_item){3, BRAID_ITEM_INTEGER}, 0, &waiter.node) == BRAID_WAIT);
  braid_queue_visit(queue, count_and_turn, &count);
  check(count == 4);
  check(braid_wait_node_item(&waiter.node).bits == 103);
  braid_wait_node_leave(&waiter.node);
  for (uint64_t i = 0; i < 3; i++) {
    struct braid_item item;
    check(braid_queue_get(queue, &item, NULL) == BRAID_OK && item.bits == i + 100);
  }
  braid_object_unref(&queue->object);
}

static void queue_in_itself_is_freed(void) {
  struct braid_queue *queue = braid_queue_new(0, BRAID_FIFO);
  struct braid_counter *counter = braid_counter_new(0);
  braid_object_share(&queue->object);
  braid_object_ref(&queue->object);
  braid_queue_put(queue, enclose(&queue->object), 0, NULL);
  braid_queue_put(queue, enclose(&counter->object), 0, NULL);
  braid_queue_put(queue, enclose(&queue->object), 0, NULL);
  braid_queue_leave(queue); /* there is another holder */
  check(braid_queue_look(queue).size == 3 && atomic_load(&counter->object.refs) == 2);
  braid_queue_leave(queue);
  check(atomic_load(&counter->object.refs) == 1);
  braid_object_unref(&counter->object);
}

/* Two holders of an object in itself: one leaves at any moment, the other takes the object out of it, and leaves then.
 */
static void *take_out_of_queue(void *argument) {
  struct braid_queue *queue = argument;
  struct braid_item item;
  check(braid_queue_get(queue, &item, NULL) == BRAID_OK && item.tag == BRAID_ITEM_MESSAGE);
  braid_item_drop(item);
  check(braid_queue_look(queue).size == 1);
  braid_queue_leave(queue);
  return NULL;
}

static void *take_out_of_dict(void *argument) {
  struct braid_dict *dict = argument;
  const struct braid_key one = {.tag = BRAID_ITEM_INTEGER, .bits = 1};
  check(braid_dict_set(dict, &one, (struct braid_item){0, BRAID_ITEM_NONE}, 0) == BRAID_OK);
  check(braid_dict_size(dict) == 1);
  braid_dict_leave(dict);
  return NULL;
}

static void two_leave_at_once(void) {
  for (int round = 0; round < 2000; round++) {
    struct braid_counter *counter = braid_counter_new(0);
    struct braid_queue *queue = braid_queue_new(0, BRAID_FIFO);
    struct braid_dict *dict = braid_dict_new();
    pthread_t taker[2];
    braid_object_share(&queue->object);
    braid_object_share(&dict->object);
    braid_object_share(&dict->lock->object);
    braid_object_ref(&queue->object);
    braid_object_ref(&dict->object);
    braid_queue_put(queue, enclose(&queue->object), 0, NULL);
    braid_queue_put(queue, enclose_both(&queue->object, &counter->object), 0, NULL);
    for (uint64_t i = 1; i <= 2; i++) {
      const struct braid_key key = {.tag = BRAID_ITEM_INTEGER, .bits = i};
      braid_dict_set(dict, &key, enclose_both(&dict->object, &counter->object), 0);
    }
    pthread_create(&taker[0], NULL, take_out_of_queue, queue);
    pthread_create(&taker[1], NULL, take_out_of_dict, dict);
    for (volatile int i = 0; i < round * 7919 % 20000; i++) continue;
    braid_queue_leave(queue);
    braid_dict_leave(dict);
    for (int i = 0; i < 2; i++) pthread_join(taker[i], NULL);
    check(atomic_load(&counter->object.refs) == 1); /* both are gone, with what they held */
    braid_object_unref(&counter->object);
  }
}

static void queue_drops_what_its_putters_bring(void) {
  struct braid_waiter waiter;
  struct braid_counter *counter = braid_counter_new(0);
  struct braid_queue *queue = braid_queue_new(1, BRAID_FIFO);
  braid_queue_put(queue, (struct braid_item){0, BRAID_ITEM_INTEGER}, 0, NULL);
  braid_waiter_init(&waiter, NULL, BRAID_WAITER_TASK);
  braid_waiter_arm(&waiter);
  check(braid_queue_put(queue, enclose(&counter->object), 0, &waiter.node) == BRAID_WAIT);
  braid_object_unref(&queue->object);
  check(atomic_load(&counter->object.refs) == 1 && braid_wait_node_item(&waiter.node).tag == BRAID_ITEM_NONE);
  braid_object_unref(&counter->object);
}

CHECK_MAIN({"a draft becomes a message", draft_becomes_a_message}, {"code keeps its bytes", code_keeps_its_bytes},
           {"a queue shows what it holds", queue_shows_what_it_holds},
           {"a queue in itself is freed", queue_in_itself_is_freed},
           {"two holders leave an object in itself at once", two_leave_at_once},
           {"a queue that ends drops what its putters bring", queue_drops_what_its_putters_bring})
