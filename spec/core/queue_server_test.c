/* SPDX-License-Identifier: MIT
 * The home's side of queues: what is on its way when a client ends, and frames that are about something else. */
#include "core/process/queue_server.h"

#include "core/sync/counter.h"
#include "core/sync/primitives.h"
#include "caller.h"

static struct neighbours n;
static struct braid_queue *queue;

static struct braid_item integer(uint64_t number) { return (struct braid_item){number, BRAID_ITEM_INTEGER}; }

static struct braid_proxy *begin(size_t maxsize) {
  neighbours_open(&n);
  queue = braid_queue_new(maxsize, BRAID_FIFO);
  braid_object_share(&queue->object);
  return braid_proxy_of(neighbours_send(&n, HOME, &queue->object));
}

static void end(void) {
  neighbours_close(&n);
  check(queue->leased == 0 && queue->reserved == 0 && atomic_load(&queue->object.refs) == 1);
  braid_object_unref(&queue->object);
}

/* ---- clients that end ------------------------------------------------------------------------------------------ */

static void an_item_on_its_way_comes_back(void) {
  struct braid_proxy *proxy = begin(0);
  struct braid_waiter waiter;
  struct braid_queue_cell cell;
  check(braid_proxy_get(proxy, &cell, neighbours_arm(&n, &waiter)) == BRAID_WAIT);
  neighbours_settle(&n);
  check(braid_queue_put(queue, integer(7), 0, NULL) == BRAID_OK); /* it is the request's */
  check(braid_queue_look(queue).size == 0 && queue->leased == 1);
  neighbours_close_end(&n, HOME);
  check(queue->leased == 0 && braid_queue_look(queue).size == 1);
  struct braid_item item;
  check(braid_queue_get(queue, &item, NULL) == BRAID_OK && item.bits == 7);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(waiter.state == 1 && waiter.status == BRAID_GONE);
  end();
}

static void a_place_on_its_way_comes_back(void) {
  struct braid_proxy *proxy = begin(1);
  struct braid_waiter waiter;
  struct braid_queue_cell cell = {.item = integer(8)};
  struct braid_item item;
  check(braid_queue_put(queue, integer(7), 0, NULL) == BRAID_OK);
  check(braid_proxy_put(proxy, &cell, neighbours_arm(&n, &waiter)) == BRAID_WAIT);
  neighbours_settle(&n);
  check(braid_queue_get(queue, &item, NULL) == BRAID_OK && queue->reserved == 1); /* the place is the request's */
  neighbours_close_end(&n, HOME);
  check(queue->reserved == 0);
  check(braid_queue_put(queue, integer(9), 0, NULL) == BRAID_OK);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(waiter.state == 1 && waiter.status == BRAID_GONE);
  end();
}

/* Both requests stand, and nobody has served them. */
static void requests_end_with_their_client(void) {
  struct braid_proxy *proxy = begin(1);
  struct braid_waiter getter, putter;
  struct braid_queue_cell cell = {.item = integer(1)}, got;
  check(braid_proxy_get(proxy, &got, neighbours_arm(&n, &getter)) == BRAID_WAIT);
  neighbours_settle(&n);
  neighbours_close_end(&n, HOME);
  check(braid_list_empty(&queue->getters.nodes));
  end();
  proxy = begin(1);
  check(braid_queue_put(queue, integer(7), 0, NULL) == BRAID_OK);
  check(braid_proxy_put(proxy, &cell, neighbours_arm(&n, &putter)) == BRAID_WAIT);
  neighbours_settle(&n);
  neighbours_close_end(&n, HOME);
  check(braid_list_empty(&queue->putters.nodes));
  end();
}

/* ---- large messages --------------------------------------------------------------------------------------------- */

static void large_messages_come_one_by_one(void) {
  enum { COUNT = 5, SIZE = 600 * 1024 };
  struct braid_proxy *proxy = begin(0);
  struct braid_waiter waiters[COUNT];
  struct braid_queue_cell cell;
  char *bytes = malloc(SIZE);
  for (int i = 0; i < COUNT; i++) {
    memset(bytes, 'a' + i, SIZE);
    struct braid_item item = {(uint64_t)(uintptr_t)braid_message_new(bytes, SIZE, NULL, 0), BRAID_ITEM_MESSAGE};
    check(braid_queue_put(queue, item, 0, NULL) == BRAID_OK);
  }
  free(bytes);
  for (int i = 0; i < COUNT; i++) check(braid_proxy_get(proxy, &cell, neighbours_arm(&n, &waiters[i])) == BRAID_WAIT);
  while (waiters[COUNT - 1].state != 1) neighbours_settle(&n); /* the sockets take little at a time */
  for (int i = 0; i < COUNT; i++) {
    check(waiters[i].state == 1 && waiters[i].status == BRAID_OK);
    struct braid_item item = braid_wait_node_item(&waiters[i].node);
    const struct braid_message *message = (const struct braid_message *)(uintptr_t)item.bits;
    check(message->size == SIZE && message->bytes[SIZE - 1] == 'a' + i);
    braid_item_drop(item);
  }
  end();
}

/* ---- what is no protocol ----------------------------------------------------------------------------------------- */

static void ends_by(struct braid_frame frame, const void *body, size_t size) {
  neighbours_inject(&n, MIDDLE_HOME, frame, body, size);
  check(n.connections[HOME].fault != NULL && n.ended[HOME]);
  end();
}

static void frames_about_others_end_the_connection(void) {
  static const enum braid_call_frame kinds[] = {BRAID_FRAME_GET,     BRAID_FRAME_GET_END,  BRAID_FRAME_TAKEN,
                                                BRAID_FRAME_WANT,    BRAID_FRAME_WANT_END, BRAID_FRAME_PUT,
                                                BRAID_FRAME_UNWANTED};
  for (size_t i = 0; i < 2 * sizeof kinds / sizeof *kinds; i++) {
    begin(0);
    struct braid_counter *counter = braid_counter_new(0);
    braid_object_share(&counter->object);
    uint64_t taken = 0, id = braid_proxy_of(neighbours_send(&n, HOME, &counter->object))->id;
    struct braid_frame frame = {.kind = (uint8_t)kinds[i / 2], .value = i % 2 ? 77 : id, .id = 1};
    ends_by(frame, &taken, sizeof taken); /* a counter, or nothing */
    check(atomic_load(&counter->object.refs) == 1);
    braid_object_unref(&counter->object);
  }
}

static void an_item_needs_a_place(void) {
  struct braid_wire_item item = {.bits = 5, .tag = BRAID_ITEM_INTEGER};
  for (uint64_t count = 0; count < 300; count += count ? 256 : 1) {
    struct braid_proxy *proxy = begin(0);
    ends_by((struct braid_frame){.kind = BRAID_FRAME_PUT, .value = proxy->id, .id = count}, &item, sizeof item);
  }
}

/* Puts until the proxy has a place that it does not use. */
static void gain_a_place(struct braid_proxy *proxy) {
  struct braid_queue_cell cell = {.item = integer(1)};
  while (proxy->queue->places == 0) {
    struct braid_waiter waiter;
    if (braid_proxy_put(proxy, &cell, neighbours_arm(&n, &waiter)) == BRAID_WAIT) neighbours_settle(&n);
  }
}

static void items_are_of_their_kinds(void) {
  static const uint64_t tags[] = {BRAID_ITEM_REFERENCE, BRAID_ITEM_PLACE, 99, UINT64_MAX};
  for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
    struct braid_wire_item item = {.bits = 5, .tag = tags[i]};
    struct braid_proxy *proxy = begin(0);
    gain_a_place(proxy);
    ends_by((struct braid_frame){.kind = BRAID_FRAME_PUT, .value = proxy->id, .id = 1}, &item, sizeof item);
  }
}

/* ---- a process in the middle ------------------------------------------------------------------------------------- */

/* A lock that a process beyond the far one has taken is abandoned when that is said to have ended. */
static void who_leaves_beyond_others_is_told_of(void) {
  neighbours_open(&n);
  struct braid_primitive *lock = braid_primitive_new(&braid_lock_class, 0, 0);
  braid_object_share(&lock->object);
  struct braid_proxy *far = braid_proxy_of(neighbours_send(&n, MIDDLE_FAR, neighbours_send(&n, HOME, &lock->object)));
  struct {
    struct braid_call call;
    struct braid_wire_item item;
  } body = {.call.owner = 5, .item.tag = BRAID_ITEM_NONE};
  struct braid_frame call = {.kind = BRAID_FRAME_CALL, .value = far->id, .status = BRAID_LOCK_ACQUIRE, .channel = 9};
  struct braid_frame leaves = {.kind = BRAID_FRAME_LEAVE, .channel = 9};
  neighbours_inject(&n, FAR, call, &body, sizeof body);
  check(braid_lock_owner(lock) != 0);
  neighbours_inject(&n, FAR, (struct braid_frame){.kind = BRAID_FRAME_LEAVE, .channel = 8}, NULL, 0);
  check(braid_lock_owner(lock) != 0); /* another one */
  neighbours_inject(&n, FAR, leaves, NULL, 0);
  check(braid_lock_owner(lock) == 0 && lock->orphaned);
  neighbours_inject(&n, FAR, leaves, NULL, 0);
  check(!n.ended[MIDDLE_FAR] && !n.ended[HOME]);
  call.status = BRAID_LOCK_RELEASE;
  neighbours_inject(&n, FAR, call, &body, 4); /* too short to be passed on */
  check(n.ended[MIDDLE_FAR] && n.connections[MIDDLE_FAR].fault != NULL && !n.ended[HOME]);
  neighbours_close(&n);
  check(atomic_load(&lock->object.refs) == 1);
  braid_object_unref(&lock->object);
}

CHECK_MAIN({"queue server: an item on its way comes back", an_item_on_its_way_comes_back},
           {"queue server: a place on its way comes back", a_place_on_its_way_comes_back},
           {"queue server: requests end with their client", requests_end_with_their_client},
           {"queue server: large messages come one by one", large_messages_come_one_by_one},
           {"queue server: frames about others end the connection", frames_about_others_end_the_connection},
           {"queue server: an item needs a place", an_item_needs_a_place},
           {"queue server: items are of their kinds", items_are_of_their_kinds},
           {"queue server: who leaves beyond others is told of", who_leaves_beyond_others_is_told_of})
