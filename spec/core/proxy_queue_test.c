/* SPDX-License-Identifier: MIT
 * Queues of another process: batches, what comes back, who is told of what has gone, and frames that are no protocol.
 */
#include "core/process/proxy_queue.h"

#include "neighbours.h"

static struct neighbours n;
static struct braid_queue *queue;

static struct braid_item integer(uint64_t number) { return (struct braid_item){number, BRAID_ITEM_INTEGER}; }

static void put_at_home(uint64_t first, uint64_t last) {
  for (uint64_t i = first; i <= last; i++) check(braid_queue_put(queue, integer(i), 0, NULL) == BRAID_OK);
  neighbours_settle(&n);
}

/* A queue at home, and its proxy in the middle (connections 0, 1) or beyond (2, 3). */
static struct braid_proxy *begin(size_t maxsize, int far) {
  neighbours_open(&n);
  queue = braid_queue_new(maxsize, BRAID_FIFO);
  braid_object_share(&queue->object);
  struct braid_object *object = neighbours_send(&n, HOME, &queue->object);
  if (far) object = neighbours_send(&n, MIDDLE_FAR, object);
  check(object && braid_proxy_is(object));
  return braid_proxy_of(object);
}

static void end(void) {
  neighbours_close(&n);
  check(queue->leased == 0 && queue->reserved == 0);
  check(atomic_load(&queue->object.refs) == 1);
  braid_object_unref(&queue->object);
}

static unsigned length(const struct braid_wait_queue *waiters) {
  unsigned count = 0;
  for (const struct braid_list *at = waiters->nodes.next; at != &waiters->nodes; at = at->next) count++;
  return count;
}

static struct braid_wait_node *arm(struct braid_waiter *waiter) { return neighbours_arm(&n, waiter); }

/* The item, or minus the status. */
static int64_t get(struct braid_proxy *proxy) {
  struct braid_waiter waiter;
  struct braid_queue_cell cell;
  enum braid_status status = braid_proxy_get(proxy, &cell, arm(&waiter));
  if (status == BRAID_OK) return (int64_t)cell.item.bits;
  if (status != BRAID_WAIT) return -(int64_t)status;
  neighbours_settle(&n);
  if (waiter.state == 1) return waiter.status == BRAID_OK ? (int64_t)waiter.node.bits : -(int64_t)waiter.status;
  check(braid_loop_end_wait(&n.io_thread.loop, &waiter, BRAID_TIMEOUT));
  neighbours_settle(&n);
  if (!braid_proxy_leave(proxy, arm(&waiter))) return -BRAID_TIMEOUT;
  neighbours_settle(&n);
  check(waiter.state == 1);
  return waiter.status == BRAID_OK ? (int64_t)waiter.node.bits : -BRAID_TIMEOUT;
}

static enum braid_status put(struct braid_proxy *proxy, uint64_t number) {
  struct braid_waiter waiter;
  struct braid_queue_cell cell = {.item = integer(number)};
  enum braid_status status = braid_proxy_put(proxy, &cell, arm(&waiter));
  if (status != BRAID_WAIT) return status;
  neighbours_settle(&n);
  if (waiter.state == 1) return waiter.status;
  check(braid_loop_end_wait(&n.io_thread.loop, &waiter, BRAID_TIMEOUT));
  neighbours_settle(&n);
  braid_proxy_leave_put(proxy);
  neighbours_settle(&n);
  return BRAID_TIMEOUT;
}

static void settle(struct braid_proxy *proxy) {
  braid_proxy_settle(proxy);
  neighbours_settle(&n);
}

static void items_in_order(void) {
  for (int far = 0; far < 2; far++) {
    struct braid_proxy *proxy = begin(0, far);
    put_at_home(1, 1000);
    for (int64_t i = 1; i <= 500; i++) check(get(proxy) == i);
    settle(proxy);
    check(braid_queue_look(queue).size == 500 && queue->leased == 0);
    check(get(proxy) == 501);
    end();
  }
}

static void puts_in_order(void) {
  for (int far = 0; far < 2; far++) {
    struct braid_proxy *proxy = begin(40, far);
    struct braid_item item;
    for (uint64_t i = 1; i <= 40; i++) check(put(proxy, i) == BRAID_OK);
    check(put(proxy, 99) == BRAID_TIMEOUT);
    settle(proxy);
    for (uint64_t i = 1; i <= 40; i++) check(braid_queue_get(queue, &item, NULL) == BRAID_OK && item.bits == i);
    check(put(proxy, 41) == BRAID_OK);
    braid_queue_close(queue, false);
    settle(proxy);
    check(put(proxy, 42) == BRAID_CLOSED);
    end();
  }
}

static void one_request_for_many(void) {
  struct braid_proxy *proxy = begin(0, 1);
  struct braid_waiter waiters[300];
  struct braid_queue_cell cell;
  for (int i = 0; i < 300; i++) check(braid_proxy_get(proxy, &cell, arm(&waiters[i])) == BRAID_WAIT);
  neighbours_settle(&n);
  check(length(&queue->getters) == 1);
  put_at_home(1, 300);
  for (int i = 0; i < 300; i++)
    check(waiters[i].state == 1 && waiters[i].status == BRAID_OK && waiters[i].node.bits == (uint64_t)i + 1);
  end();
}

static void called_off(void) {
  struct braid_proxy *proxy = begin(0, 1);
  check(get(proxy) == -BRAID_TIMEOUT);
  check(length(&queue->getters) == 0);
  put_at_home(1, 2);
  check(get(proxy) == 1 && get(proxy) == 2);
  braid_queue_close(queue, false);
  check(get(proxy) == -BRAID_CLOSED);
  end();
}

static void comes_back_after_death(void) {
  for (int far = 0; far < 2; far++) {
    struct braid_proxy *proxy = begin(0, far);
    put_at_home(1, 100);
    for (int64_t i = 1; i <= 10; i++) check(get(proxy) == i);
    check(braid_queue_look(queue).size < 90);
    neighbours_close_end(&n, far ? FAR : MIDDLE_HOME);
    neighbours_close_end(&n, far ? MIDDLE_FAR : HOME);
    struct braid_item item;
    uint64_t first = 0;
    check(braid_queue_get(queue, &item, NULL) == BRAID_OK);
    first = item.bits;
    check(first <= 11);
    for (uint64_t i = first + 1; i <= 100; i++)
      check(braid_queue_get(queue, &item, NULL) == BRAID_OK && item.bits == i);
    end();
  }
}

static void told_of_the_end(void) {
  struct braid_proxy *proxy = begin(0, 1);
  struct braid_waiter waiter;
  struct braid_queue_cell cell;
  check(braid_proxy_get(proxy, &cell, arm(&waiter)) == BRAID_WAIT);
  neighbours_settle(&n);
  neighbours_close_end(&n, HOME);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(waiter.state == 1 && waiter.status == BRAID_GONE);
  check(get(proxy) == -BRAID_GONE && put(proxy, 1) == BRAID_GONE);
  struct braid_call call = {0};
  check(braid_proxy_call(proxy, BRAID_QUEUE_LOOK, &call, NULL, NULL, NULL, NULL) == BRAID_GONE);
  end();
}

static void comes_home_as_itself(void) {
  struct braid_proxy *proxy = begin(0, 1);
  check(neighbours_send(&n, FAR, &proxy->object) == n.came[MIDDLE_HOME]);
  check(neighbours_send(&n, MIDDLE_HOME, n.came[MIDDLE_FAR]) == &queue->object);
  end();
}

/* ---- what is no protocol -------------------------------------------------------------------------------------- */

struct bad {
  const char *name;
  struct braid_frame frame;
  uint64_t body;      /* with 8 bytes when it is no UINT64_MAX */
  const char *before; /* what comes first, each sound: g(et), p(uts that leave places over) */
};

#define NO_BODY UINT64_MAX

/* To the home, about its queue, whose number is 1. */
static const struct bad to_home[] = {
    {"get of nothing", {.kind = BRAID_FRAME_GET, .value = 1, .id = 0}, 0, ""},
    {"get of too much", {.kind = BRAID_FRAME_GET, .value = 1, .id = 257}, 0, ""},
    {"get without a body", {.kind = BRAID_FRAME_GET, .value = 1, .id = 1}, NO_BODY, ""},
    {"get of an unknown queue", {.kind = BRAID_FRAME_GET, .value = 77, .id = 1}, 0, ""},
    {"second get", {.kind = BRAID_FRAME_GET, .value = 1, .id = 1}, 0, "g"},
    {"more taken than sent", {.kind = BRAID_FRAME_TAKEN, .value = 1}, 5, ""},
    {"more back than sent", {.kind = BRAID_FRAME_TAKEN, .value = 1, .id = 3}, 0, ""},
    {"want of nothing", {.kind = BRAID_FRAME_WANT, .value = 1, .id = 0}, NO_BODY, ""},
    {"want of too much", {.kind = BRAID_FRAME_WANT, .value = 1, .id = 257}, NO_BODY, ""},
    {"more places than there may be", {.kind = BRAID_FRAME_WANT, .value = 1, .id = 256}, NO_BODY, "p"},
    {"put without a place", {.kind = BRAID_FRAME_PUT, .value = 1}, NO_BODY, ""},
    {"places that were not given", {.kind = BRAID_FRAME_UNWANTED, .value = 1, .id = 1}, NO_BODY, ""},
    {"call without a body", {.kind = BRAID_FRAME_CALL, .value = 1, .id = 1}, NO_BODY, ""},
    {"unknown operation", {.kind = BRAID_FRAME_CALL, .value = 1, .id = 1, .status = 999}, 0, ""},
    {"answer to nothing", {.kind = BRAID_FRAME_ANSWER, .value = 1, .id = 12345}, 0, ""},
    {"unknown kind", {.kind = 63}, NO_BODY, ""},
    {"kind beyond all", {.kind = 200}, NO_BODY, ""},
};

/* To the proxy in the middle. */
static const struct bad to_proxy[] = {
    {"items that were not asked for", {.kind = BRAID_FRAME_ITEMS, .value = 1, .id = 1}, NO_BODY, ""},
    {"items of an unknown queue", {.kind = BRAID_FRAME_ITEMS, .value = 99, .id = 0}, NO_BODY, ""},
    {"places that were not wanted", {.kind = BRAID_FRAME_PLACES, .value = 1, .id = 1}, NO_BODY, ""},
    {"answer to nothing", {.kind = BRAID_FRAME_ANSWER, .value = 1, .id = 12345}, 0, ""},
    {"items with a status that there is not",
     {.kind = BRAID_FRAME_ITEMS, .value = 1, .id = 0, .status = 99},
     NO_BODY,
     ""},
    {"more items than a frame may have",
     {.kind = BRAID_FRAME_ITEMS, .value = 1, .id = 1u << 30, .channel = 9},
     NO_BODY,
     ""},
};

static void say(struct braid_proxy *proxy, int from, const struct bad *bad) {
  uint64_t taken = 0;
  for (const char *at = bad->before; *at; at++) {
    if (*at == 'g')
      neighbours_inject(&n, from, (struct braid_frame){.kind = BRAID_FRAME_GET, .value = 1, .id = 4}, &taken, 8);
    for (uint64_t i = 0; *at == 'p' && (i < 5 || proxy->queue->places == 0); i++) check(put(proxy, i) == BRAID_OK);
  }
  check(!n.ended[from ^ 1]);
  neighbours_inject(&n, from, bad->frame, &bad->body, bad->body == NO_BODY ? 0 : sizeof bad->body);
}

static void ends_what_is_no_protocol(void) {
  for (size_t i = 0; i < sizeof to_home / sizeof *to_home; i++) {
    say(begin(0, 0), MIDDLE_HOME, &to_home[i]);
    if (!n.connections[HOME].fault || !n.ended[HOME] || !n.ended[MIDDLE_HOME]) printf("# %s\n", to_home[i].name);
    check(n.connections[HOME].fault != NULL && n.ended[HOME] && n.ended[MIDDLE_HOME]);
    end();
  }
  for (size_t i = 0; i < sizeof to_proxy / sizeof *to_proxy; i++) {
    say(begin(0, 0), HOME, &to_proxy[i]);
    if (!n.connections[MIDDLE_HOME].fault) printf("# %s\n", to_proxy[i].name);
    check(n.connections[MIDDLE_HOME].fault != NULL && n.ended[MIDDLE_HOME] && n.ended[HOME]);
    end();
  }
}

/* A message that mentions an object: see connection.c and marshal.c. */
static void mention(uint64_t id, uint32_t class, uint32_t flags) {
  struct {
    uint64_t size, mentions;
    uint32_t what, place, upvalues;
    uint64_t code;
    struct braid_wire_object wire;
  } body = {.mentions = 1, .what = 3, .wire = {.id = id, .class = class, .flags = flags, .value = 1}};
  begin(0, 0);
  neighbours_inject(&n, HOME, (struct braid_frame){.kind = BRAID_FRAME_JOB, .has_message = 1}, &body, sizeof body);
  check(n.connections[MIDDLE_HOME].fault != NULL && n.ended[MIDDLE_HOME] && n.ended[HOME]);
  end();
}

/* What stands in a message, in the words of connection.c. */
struct words {
  const char *name;
  uint64_t size, mentions; /* of the message */
  uint32_t what, place, upvalues;
  uint64_t code;
  size_t sent; /* bytes, of all that follows the head */
};

enum { OLD_CODE, NEW_CODE, OBJECT = 3, MENTION_SIZE = 24 };

static const struct words bad_messages[] = {
    {"more bytes than come", 100, 0, 0, 0, 0, 0, 0},
    {"fewer bytes than come", 1, 0, 0, 0, 0, 0, 5},
    {"more mentions than there is room for", 0, UINT64_MAX, 0, 0, 0, 0, MENTION_SIZE},
    {"a mention that is cut short", 0, 1, OLD_CODE, 0, 0, 0, MENTION_SIZE - 1},
    {"code that was never sent", 0, 1, OLD_CODE, 7, 0, 0, MENTION_SIZE},
    {"code at a place that there is not", 0, 1, NEW_CODE, 256, 0, 4, MENTION_SIZE + 4},
    {"code beyond the end", 0, 1, NEW_CODE, 7, 0, 5, MENTION_SIZE + 4},
    {"an object that is cut short", 0, 1, OBJECT, 0, 0, 0, MENTION_SIZE + 8},
    {"a mention of nothing that there is", 0, 1, 99, 0, 0, 0, MENTION_SIZE},
};

static void ends_what_is_no_message(void) {
  for (size_t i = 0; i < sizeof bad_messages / sizeof *bad_messages; i++) {
    const struct words *words = &bad_messages[i];
    struct {
      uint64_t size, mentions;
      uint32_t what, place, upvalues, zero;
      uint64_t code;
      char more[64];
    } body = {words->size, words->mentions, words->what, words->place, words->upvalues, 0, words->code, ""};
    begin(0, 0);
    struct braid_frame frame = {.kind = BRAID_FRAME_JOB, .has_message = 1};
    neighbours_inject(&n, HOME, frame, &body, 16 + words->sent);
    if (!n.ended[MIDDLE_HOME]) printf("# %s\n", words->name);
    check(n.connections[MIDDLE_HOME].fault != NULL && n.ended[MIDDLE_HOME]);
    end();
  }
}

/* A home that is short of something tells one of those who wait; the others ask again. */
static void a_shortage_at_home_is_told(void) {
  struct braid_proxy *proxy = begin(0, 0);
  struct braid_waiter waiters[2];
  struct braid_queue_cell cell;
  for (int i = 0; i < 2; i++) check(braid_proxy_get(proxy, &cell, arm(&waiters[i])) == BRAID_WAIT);
  neighbours_settle(&n);
  struct braid_frame frame = {.kind = BRAID_FRAME_ITEMS, .value = proxy->id, .status = BRAID_NO_MEMORY};
  neighbours_inject(&n, HOME, frame, NULL, 0);
  check(waiters[0].state == 1 && waiters[0].status == BRAID_NO_MEMORY && waiters[1].state != 1);
  neighbours_close_end(&n, HOME); /* which has two requests now, and has failed */
  neighbours_close_end(&n, MIDDLE_HOME);
  check(waiters[1].state == 1 && waiters[1].status == BRAID_GONE);
  end();
}

static void believes_no_class(void) {
  mention(7, 0x300 | BRAID_PROXY_QUEUE, 0); /* a queue with a type */
  mention(7, BRAID_PROXY_ARRAY + 1, 0);     /* no class */
  mention(7, UINT32_MAX, 0);
  mention(1, BRAID_PROXY_LOCK, 0); /* it is a queue */
  mention(1, BRAID_PROXY_ARRAY, 0);
  mention(77, BRAID_PROXY_QUEUE, 1); /* ours, but not known */
}

static void ends_what_is_no_frame(void) {
  static const char *const bytes[] = {
      "hello from a library that prints, and prints, and prints, and prints",
      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"};
  for (int i = 0; i < 2; i++) {
    begin(0, 0);
    check(send(n.connections[MIDDLE_HOME].fd, bytes[i], 41, 0) == 41);
    neighbours_settle(&n);
    check(n.connections[HOME].fault != NULL && n.ended[HOME] && n.ended[MIDDLE_HOME]);
    end();
  }
  begin(0, 0);
  struct braid_frame huge = {.magic = BRAID_FRAME_MAGIC, .kind = BRAID_FRAME_JOB, .size = UINT64_MAX - 20};
  check(send(n.connections[MIDDLE_HOME].fd, &huge, sizeof huge, 0) == sizeof huge);
  neighbours_settle(&n);
  check(n.connections[HOME].fault != NULL);
  end();
  begin(0, 0); /* one that announces more than ever comes takes no room for it */
  huge.size = BRAID_FRAME_MOST;
  check(send(n.connections[MIDDLE_HOME].fd, &huge, sizeof huge, 0) == sizeof huge);
  neighbours_settle(&n);
  check(n.connections[HOME].fault == NULL && n.connections[HOME].in.bytes.capacity < 1024 * 1024);
  end();
}

CHECK_MAIN({"proxy: items come in order, and go back in order", items_in_order},
           {"proxy: puts arrive in order, and wait for room", puts_in_order},
           {"proxy: one request for all getters", one_request_for_many}, {"proxy: a request is called off", called_off},
           {"proxy: what a dead process had comes back", comes_back_after_death},
           {"proxy: who waits is told that the home is gone", told_of_the_end},
           {"proxy: an object comes home as itself", comes_home_as_itself},
           {"proxy: what is no protocol ends the connection", ends_what_is_no_protocol},
           {"proxy: objects are what they were, and of a class that there is", believes_no_class},
           {"proxy: what is no message ends the connection", ends_what_is_no_message},
           {"proxy: a shortage at home is told", a_shortage_at_home_is_told},
           {"proxy: what is no frame ends the connection", ends_what_is_no_frame})
