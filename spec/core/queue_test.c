/* SPDX-License-Identifier: MIT
 * Orders, bounds and ends of a queue in one thread; and values that are conserved between many, each with a loop of
 * its own, whose waits end by deadlines and cancels at random. */
#include "core/sync/queue.h"

#include "actor.h"

static struct braid_item integer(uint64_t number) {
  return (struct braid_item){.bits = number, .tag = BRAID_ITEM_INTEGER};
}

static enum braid_status put(struct braid_queue *queue, uint64_t number, double key) {
  return braid_queue_put(queue, integer(number), key, NULL);
}

static size_t put_reserved(struct braid_queue *queue, uint64_t number) {
  return braid_queue_put_reserved(queue, &(struct braid_queue_cell){.item = integer(number)}, 1);
}

/* What a get that does not wait brings; -1: nothing. */
static int64_t get(struct braid_queue *queue) {
  struct braid_item item;
  return braid_queue_get(queue, &item, NULL) == BRAID_OK ? (int64_t)item.bits : -1;
}

/* ---- one thread ----------------------------------------------------------------------------------------------- */

static void keeps_its_order(void) {
  const double keys[] = {5, 1, 3, 1, 4};
  const int64_t expected[][5] = {
      [BRAID_FIFO] = {0, 1, 2, 3, 4}, [BRAID_LIFO] = {4, 3, 2, 1, 0}, [BRAID_PRIORITY] = {1, 3, 2, 4, 0}};
  for (int order = BRAID_FIFO; order <= BRAID_PRIORITY; order++) {
    struct braid_queue *queue = braid_queue_new(0, (enum braid_queue_order)order);
    for (uint64_t i = 0; i < 5; i++) check(put(queue, i, keys[i]) == BRAID_OK);
    for (int i = 0; i < 5; i++) check(get(queue) == expected[order][i]);
    check(get(queue) == -1);
    braid_object_unref(&queue->object);
  }
}

static void sorts_as_the_model_does(void) {
  enum { COUNT = 2000, KEYS = 50 };
  struct braid_queue *queue = braid_queue_new(0, BRAID_PRIORITY);
  uint32_t random = 31;
  static double keys[COUNT];
  int64_t last[KEYS];
  for (int i = 0; i < COUNT; i++) {
    keys[i] = check_random(&random) % KEYS;
    check(put(queue, (uint64_t)i, keys[i]) == BRAID_OK);
  }
  memset(last, -1, sizeof last);
  double key = 0;
  for (int i = 0; i < COUNT; i++) {
    int64_t item = get(queue);
    check(item >= 0 && keys[item] >= key);
    key = keys[item];
    check(item > last[(int)key]); /* among equals the oldest first */
    last[(int)key] = item;
  }
  braid_object_unref(&queue->object);
}

static void wraps_around(void) {
  struct braid_queue *queue = braid_queue_new(0, BRAID_FIFO);
  uint32_t random = 8;
  uint64_t in = 0;
  int64_t out = 0;
  for (int i = 0; i < 20000; i++) {
    if (check_random(&random) % 2)
      check(put(queue, in++, 0) == BRAID_OK);
    else if (out < (int64_t)in)
      check(get(queue) == out++);
    check(braid_queue_look(queue).size == in - (uint64_t)out);
  }
  braid_object_unref(&queue->object);
}

static void is_full(void) {
  struct braid_queue *queue = braid_queue_new(2, BRAID_FIFO);
  check(put(queue, 1, 0) == BRAID_OK && put(queue, 2, 0) == BRAID_OK);
  check(put(queue, 3, 0) == BRAID_FULL);
  struct braid_queue_facts facts = braid_queue_look(queue);
  check(facts.size == 2 && facts.maxsize == 2 && !facts.closed);
  check(get(queue) == 1 && put(queue, 3, 0) == BRAID_OK);
  braid_object_unref(&queue->object);
}

/* Several waiters of one loop. */
enum { WAITERS = 4 };
static struct braid_loop loop;
static struct braid_waiter waiters[WAITERS];

static struct braid_wait_node *arm(int which) {
  braid_waiter_arm(&waiters[which]);
  return &waiters[which].node;
}

static void open_waiters(void) {
  check(braid_loop_open(&loop) == 0);
  for (int i = 0; i < WAITERS; i++) braid_waiter_init(&waiters[i], &loop, BRAID_WAITER_TASK);
}

/* The number of the waiter that has come home, and its wait node has left; -1: none. */
static int next_home(void) {
  struct braid_waiter *waiter = braid_loop_next(&loop);
  if (!waiter) return -1;
  braid_wait_node_leave(&waiter->node);
  return (int)(waiter - waiters);
}

static void serves_getters_in_turn(void) {
  struct braid_queue *queue = braid_queue_new(0, BRAID_FIFO);
  struct braid_item item;
  open_waiters();
  for (int i = 0; i < WAITERS; i++) check(braid_queue_get(queue, &item, arm(i)) == BRAID_WAIT);
  check(braid_loop_end_wait(&loop, &waiters[1], BRAID_CANCELLED));
  check(next_home() == 1 && waiters[1].status == BRAID_CANCELLED);
  check(put(queue, 10, 0) == BRAID_OK && put(queue, 11, 0) == BRAID_OK);
  check(next_home() == 0 && waiters[0].status == BRAID_OK && waiters[0].node.bits == 10);
  check(next_home() == 2 && waiters[2].node.bits == 11);
  check(next_home() == -1 && braid_queue_look(queue).size == 0);
  braid_queue_close(queue, false);
  check(next_home() == 3 && waiters[3].status == BRAID_CLOSED);
  braid_object_unref(&queue->object);
  braid_loop_close(&loop);
}

static void admits_putters_in_turn(void) {
  struct braid_queue *queue = braid_queue_new(1, BRAID_FIFO);
  open_waiters();
  check(put(queue, 1, 0) == BRAID_OK);
  for (int i = 0; i < WAITERS; i++) check(braid_queue_put(queue, integer((uint64_t)i + 10), 0, arm(i)) == BRAID_WAIT);
  check(braid_loop_end_wait(&loop, &waiters[0], BRAID_TIMEOUT));
  check(next_home() == 0 && waiters[0].node.bits == 10); /* the item is its again */
  check(get(queue) == 1 && next_home() == 1 && waiters[1].status == BRAID_OK);
  check(get(queue) == 11 && next_home() == 2);
  check(braid_queue_look(queue).size == 1);
  braid_queue_close(queue, false);
  check(next_home() == 3 && waiters[3].status == BRAID_CLOSED && waiters[3].node.bits == 13);
  check(get(queue) == 12); /* what is in drains */
  braid_object_unref(&queue->object);
  braid_loop_close(&loop);
}

static void drains_after_a_close(void) {
  struct braid_queue *queue = braid_queue_new(0, BRAID_FIFO);
  struct braid_item item;
  check(put(queue, 1, 0) == BRAID_OK && put(queue, 2, 0) == BRAID_OK);
  braid_queue_close(queue, false);
  braid_queue_close(queue, false); /* twice: harmless */
  check(put(queue, 3, 0) == BRAID_CLOSED);
  check(get(queue) == 1 && get(queue) == 2);
  check(braid_queue_get(queue, &item, NULL) == BRAID_CLOSED);
  check(braid_queue_look(queue).closed);
  braid_object_unref(&queue->object);
}

static void keeps_places(void) {
  struct braid_queue *queue = braid_queue_new(4, BRAID_FIFO);
  check(put(queue, 1, 0) == BRAID_OK);
  check(braid_queue_reserve(queue, 2) == 2);
  check(put(queue, 3, 0) == BRAID_OK && put(queue, 9, 0) == BRAID_FULL);
  check(braid_queue_reserve(queue, 5) == 0);
  check(put_reserved(queue, 5) == 1 && put(queue, 9, 0) == BRAID_FULL);
  braid_queue_close(queue, false);
  check(get(queue) == 1 && get(queue) == 3 && get(queue) == 5);
  struct braid_item item;
  check(braid_queue_get(queue, &item, NULL) == BRAID_EMPTY); /* something may come still */
  braid_queue_unreserve(queue, 1);
  check(braid_queue_get(queue, &item, NULL) == BRAID_CLOSED);
  braid_object_unref(&queue->object);
}

static void takes_leases_back(void) {
  struct braid_queue_cell items[8];
  struct braid_item item;
  for (int order = BRAID_FIFO; order <= BRAID_LIFO; order++) {
    struct braid_queue *queue = braid_queue_new(6, (enum braid_queue_order)order);
    for (uint64_t i = 0; i < 6; i++) check(put(queue, order == BRAID_FIFO ? i : 5 - i, 0) == BRAID_OK);
    check(braid_queue_lease(queue, items, 4) == 4);
    for (uint64_t i = 0; i < 4; i++) check(items[i].item.bits == i);
    check(put(queue, 4, 0) == BRAID_OK && get(queue) == 4); /* it made room */
    braid_queue_put_back(queue, items + 1, 3);
    check(get(queue) == 1);
    braid_queue_close(queue, false);
    check(get(queue) == 2 && get(queue) == 3);
    while (get(queue) >= 0) continue;
    check(braid_queue_get(queue, &item, NULL) == BRAID_EMPTY); /* the first may come back */
    braid_queue_settle(queue, 1);
    check(braid_queue_get(queue, &item, NULL) == BRAID_CLOSED);
    braid_object_unref(&queue->object);
  }
}

static void drops_what_comes_back(void) {
  struct braid_queue *queue = braid_queue_new(6, BRAID_FIFO);
  struct braid_queue_cell items[2];
  struct braid_item item;
  check(put(queue, 1, 0) == BRAID_OK && put(queue, 2, 0) == BRAID_OK);
  check(braid_queue_lease(queue, items, 2) == 2 && braid_queue_reserve(queue, 1) == 1);
  braid_queue_close(queue, true);
  check(braid_queue_get(queue, &item, NULL) == BRAID_CLOSED);
  check(put_reserved(queue, 3) == 0);
  braid_queue_put_back(queue, items, 2);
  check(braid_queue_get(queue, &item, NULL) == BRAID_CLOSED);
  braid_object_unref(&queue->object);
}

static atomic_int alive; /* messages' objects that have not been destroyed */

static void destroy(struct braid_object *object) {
  atomic_fetch_sub(&alive, 1);
  free(object);
}

static const struct braid_class token_class = {"token", destroy};

static struct braid_item message(uint64_t number) {
  struct braid_object *token = malloc(sizeof *token);
  if (!token) abort();
  braid_object_init(token, &token_class);
  braid_object_share(token);
  atomic_fetch_add(&alive, 1);
  struct braid_message *parcel = braid_message_new(&number, sizeof number, &token, 1);
  braid_object_unref(token);
  return (struct braid_item){.bits = (uint64_t)(uintptr_t)parcel, .tag = BRAID_ITEM_MESSAGE};
}

static uint64_t message_number(struct braid_item item) {
  uint64_t number;
  memcpy(&number, ((struct braid_message *)(uintptr_t)item.bits)->bytes, sizeof number);
  return number;
}

static void drops_what_it_holds(void) {
  for (int order = BRAID_FIFO; order <= BRAID_PRIORITY; order++) {
    struct braid_queue *queue = braid_queue_new(0, (enum braid_queue_order)order);
    for (uint64_t i = 0; i < 40; i++) check(braid_queue_put(queue, message(i), (double)(i % 7), NULL) == BRAID_OK);
    struct braid_item item;
    for (int i = 0; i < 10; i++) {
      check(braid_queue_get(queue, &item, NULL) == BRAID_OK);
      braid_item_drop(item);
    }
    check(atomic_load(&alive) == 30);
    if (order == BRAID_LIFO) braid_queue_close(queue, true);
    check(atomic_load(&alive) == (order == BRAID_LIFO ? 0 : 30));
    braid_object_unref(&queue->object);
    check(atomic_load(&alive) == 0);
  }
}

static void joins_when_all_is_done(void) {
  struct braid_queue *queue = braid_queue_new(0, BRAID_FIFO);
  open_waiters();
  check(braid_queue_task_done(queue) == BRAID_MISUSE);
  check(braid_queue_join(queue, arm(0)) == BRAID_OK);
  check(put(queue, 1, 0) == BRAID_OK && put(queue, 2, 0) == BRAID_OK);
  check(braid_queue_join(queue, arm(0)) == BRAID_WAIT);
  check(get(queue) == 1 && get(queue) == 2);
  check(braid_queue_task_done(queue) == BRAID_OK && next_home() == -1);
  check(braid_queue_task_done(queue) == BRAID_OK && next_home() == 0 && waiters[0].status == BRAID_OK);
  check(braid_queue_task_done(queue) == BRAID_MISUSE);
  braid_object_unref(&queue->object);
  braid_loop_close(&loop);
}

static void lets_everybody_go(void) {
  struct braid_queue *queue = braid_queue_new(2, BRAID_FIFO);
  open_waiters();
  for (uint64_t i = 0; i < 2; i++) check(put(queue, i, 0) == BRAID_OK);
  check(get(queue) == 0 && put(queue, 2, 0) == BRAID_OK); /* 0 is being worked on */
  check(braid_queue_put(queue, integer(3), 0, arm(0)) == BRAID_WAIT);
  check(braid_queue_join(queue, arm(1)) == BRAID_WAIT);
  braid_queue_close(queue, true);
  check(next_home() == 0 && waiters[0].status == BRAID_CLOSED && waiters[0].node.bits == 3);
  check(next_home() == 1 && waiters[1].status == BRAID_OK);
  check(braid_queue_look(queue).size == 0 && get(queue) == -1);
  check(braid_queue_task_done(queue) == BRAID_OK); /* of 0: what was dropped is done, what was taken is not */
  check(braid_queue_task_done(queue) == BRAID_MISUSE);
  braid_object_unref(&queue->object);
  braid_loop_close(&loop);
}

/* ---- many threads --------------------------------------------------------------------------------------------- */

enum { SIDES = 4, ITEMS = 5000 }; /* so many producers, consumers; and items from each producer */

static struct traffic {
  struct braid_queue *queue;
  atomic_int seen[SIDES * ITEMS];
  atomic_int sent, received;
  bool rash;    /* waits end at random */
  bool ordered; /* one consumer: each producer's items come in its order */
} traffic;

static enum braid_status put_patiently(struct actor *actor, struct braid_item item, double key) {
  for (;;) {
    enum braid_status status = braid_queue_put(traffic.queue, item, key, NULL);
    if (status != BRAID_FULL) return status;
    if (braid_queue_expect_room(traffic.queue)) continue;
    status = braid_queue_put(traffic.queue, item, key, actor_arm(actor));
    if (traffic.rash)
      status = actor_await_rashly(actor, status);
    else
      status = actor_await(actor, status, BRAID_NEVER);
    if (status != BRAID_FULL && !actor_gave_up(status)) return status;
  }
}

static void *produce(void *argument) {
  uint32_t number = (uint32_t)(uintptr_t)argument;
  struct actor actor;
  actor_open(&actor, number + 1);
  for (uint32_t i = 0; i < ITEMS; i++) {
    struct braid_item item = message(number * ITEMS + i);
    enum braid_status status = put_patiently(&actor, item, check_random(&actor.random) % 10);
    check(status == BRAID_OK || status == BRAID_CLOSED);
    if (status == BRAID_OK)
      atomic_fetch_add(&traffic.sent, 1);
    else
      braid_item_drop(item);
  }
  actor_close(&actor);
  return NULL;
}

static void take(struct braid_item item, int64_t *last) {
  uint64_t number = message_number(item);
  check(atomic_fetch_add(&traffic.seen[number], 1) == 0);
  check(!traffic.ordered || (int64_t)number > last[number / ITEMS]);
  last[number / ITEMS] = (int64_t)number;
  braid_item_drop(item);
  atomic_fetch_add(&traffic.received, 1);
  check(braid_queue_task_done(traffic.queue) == BRAID_OK);
}

static void *consume(void *argument) {
  int64_t last[SIDES] = {-1, -1, -1, -1};
  struct actor actor;
  actor_open(&actor, (uint32_t)(uintptr_t)argument + 100);
  enum braid_status status;
  do {
    struct braid_item item = {0};
    status = braid_queue_get(traffic.queue, &item, NULL);
    if (status == BRAID_EMPTY && braid_queue_expect_item(traffic.queue)) continue;
    if (status == BRAID_EMPTY) status = braid_queue_get(traffic.queue, &item, actor_arm(&actor));
    if (status == BRAID_WAIT) {
      status = traffic.rash ? actor_await_rashly(&actor, status) : actor_await(&actor, status, BRAID_NEVER);
      item = braid_wait_node_item(&actor.waiter.node);
    }
    check(status == BRAID_OK || status == BRAID_CLOSED || actor_gave_up(status));
    if (status == BRAID_OK) take(item, last);
  } while (status != BRAID_CLOSED);
  actor_close(&actor);
  return NULL;
}

static void start_traffic(size_t maxsize, enum braid_queue_order order, bool rash, bool ordered) {
  memset(&traffic, 0, sizeof traffic);
  traffic.queue = braid_queue_new(maxsize, order);
  traffic.rash = rash;
  traffic.ordered = ordered;
  braid_object_share(&traffic.queue->object);
}

static void end_traffic(int expected) {
  check(atomic_load(&traffic.sent) == expected && atomic_load(&traffic.received) == expected);
  for (int i = 0; i < SIDES * ITEMS; i++) check(atomic_load(&traffic.seen[i]) <= 1);
  check(braid_queue_look(traffic.queue).size == 0);
  braid_object_unref(&traffic.queue->object);
  check(atomic_load(&alive) == 0);
}

static void run_traffic(int consumers) {
  pthread_t producing[SIDES], consuming[SIDES];
  for (int i = 0; i < consumers; i++) check(braid_thread_start(&consuming[i], consume, (void *)(uintptr_t)i) == 0);
  for (int i = 0; i < SIDES; i++) check(braid_thread_start(&producing[i], produce, (void *)(uintptr_t)i) == 0);
  for (int i = 0; i < SIDES; i++) pthread_join(producing[i], NULL);
  braid_queue_close(traffic.queue, false);
  for (int i = 0; i < consumers; i++) pthread_join(consuming[i], NULL);
  check(braid_queue_task_done(traffic.queue) == BRAID_MISUSE); /* every item was done once */
  end_traffic(SIDES * ITEMS);
}

static void conserves_values(void) {
  for (int order = BRAID_FIFO; order <= BRAID_PRIORITY; order++) {
    start_traffic(3, (enum braid_queue_order)order, false, false);
    run_traffic(SIDES);
  }
}

static void conserves_values_whatever_happens(void) {
  for (int order = BRAID_FIFO; order <= BRAID_PRIORITY; order++) {
    start_traffic(3, (enum braid_queue_order)order, true, false);
    run_traffic(SIDES);
  }
}

static void keeps_each_producers_order(void) {
  start_traffic(1, BRAID_FIFO, true, true);
  run_traffic(1);
  start_traffic(0, BRAID_FIFO, false, true);
  run_traffic(1);
}

static void is_closed_in_the_midst(void) {
  for (int round = 0; round < 20; round++) {
    pthread_t producing[SIDES], consuming[SIDES];
    start_traffic(4, BRAID_FIFO, true, false);
    for (int i = 0; i < SIDES; i++) {
      check(braid_thread_start(&consuming[i], consume, (void *)(uintptr_t)i) == 0);
      check(braid_thread_start(&producing[i], produce, (void *)(uintptr_t)i) == 0);
    }
    usleep((useconds_t)round * 200);
    braid_queue_close(traffic.queue, round % 2 == 1);
    for (int i = 0; i < SIDES; i++) {
      pthread_join(consuming[i], NULL);
      pthread_join(producing[i], NULL);
    }
    int lost = atomic_load(&traffic.sent) - atomic_load(&traffic.received);
    check(lost >= 0 && lost <= (round % 2 == 1 ? 4 : 0)); /* only what an immediate close dropped */
    check(braid_queue_look(traffic.queue).size == 0);
    braid_object_unref(&traffic.queue->object);
    check(atomic_load(&alive) == 0);
  }
}

CHECK_MAIN({"queue: keeps its order", keeps_its_order}, {"queue: sorts as the model does", sorts_as_the_model_does},
           {"queue: wraps around", wraps_around}, {"queue: is full", is_full},
           {"queue: serves getters in turn", serves_getters_in_turn},
           {"queue: admits putters in turn", admits_putters_in_turn},
           {"queue: drains after a close", drains_after_a_close}, {"queue: drops what it holds", drops_what_it_holds},
           {"queue: keeps places", keeps_places}, {"queue: takes leases back", takes_leases_back},
           {"queue: drops what comes back", drops_what_comes_back},
           {"queue: joins when all is done", joins_when_all_is_done},
           {"queue: an immediate close lets everybody go", lets_everybody_go},
           {"queue: conserves values between threads", conserves_values},
           {"queue: conserves values whatever happens", conserves_values_whatever_happens},
           {"queue: keeps each producer's order", keeps_each_producers_order},
           {"queue: is closed in the midst", is_closed_in_the_midst})
