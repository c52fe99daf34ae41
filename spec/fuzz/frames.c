/* SPDX-License-Identifier: MIT
 * Any frames, from each of the four ends of three processes in a row: whatever comes, memory stays in order, and what
 * is no protocol ends its connection. An input is a list of deeds: a byte that says which, and what that needs. */
#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/sync/primitives.h"
#include "../core/neighbours.h"

enum { OBJECTS = 10, WAITERS = 16 };

struct input {
  const uint8_t *at, *end;
};

static uint64_t take(struct input *input, size_t size) {
  uint64_t number = 0;
  for (; size > 0 && input->at < input->end; size--) number = number << 8 | *input->at++;
  return number;
}

/* Small numbers are the interesting ones, and a few that are not small. */
static uint64_t number(struct input *input) {
  static const uint64_t large[] = {255, 256, 257, 65536, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
  uint64_t byte = take(input, 1);
  return byte < 240 ? byte % 24 : large[byte % 8];
}

static void make(struct braid_object **objects) {
  struct braid_primitive *lock = braid_primitive_new(&braid_lock_class, 0, 0);
  objects[0] = &braid_queue_new(3, BRAID_FIFO)->object;
  objects[1] = &braid_queue_new(0, BRAID_PRIORITY)->object;
  objects[2] = &lock->object;
  objects[3] = &braid_primitive_new(&braid_semaphore_class, 2, 2)->object;
  objects[4] = &braid_primitive_new(&braid_event_class, 0, 0)->object;
  objects[5] = &braid_condition_new(lock)->object;
  objects[6] = &braid_primitive_new(&braid_barrier_class, 0, 2)->object;
  objects[7] = &braid_counter_new(0)->object;
  objects[8] = &braid_dict_new()->object;
  objects[9] = &braid_array_new(BRAID_I16, 20)->object;
  for (int i = 0; i < OBJECTS; i++) braid_object_share(objects[i]);
}

/* Frames whose heads are sound, but nothing else needs to be. */
static void put_frame(struct neighbours *n, struct input *input, unsigned from) {
  char body[512];
  struct braid_frame frame = {.magic = BRAID_FRAME_MAGIC, .kind = (uint8_t)(BRAID_FRAME_OBJECTS + take(input, 1) % 18)};
  frame.id = number(input);
  frame.value = number(input);
  frame.status = (uint32_t)number(input);
  frame.channel = (uint32_t)number(input);
  frame.size = take(input, 1) * 2;
  for (size_t i = 0; i < frame.size; i += 8) {
    uint64_t word = number(input);
    memcpy(body + i, &word, 8);
  }
  if (n->connections[from].fd < 0) return;
  if (send(n->connections[from].fd, &frame, sizeof frame, MSG_NOSIGNAL) < 0) return;
  if (frame.size) send(n->connections[from].fd, body, (size_t)frame.size, MSG_NOSIGNAL);
}

/* With so many descriptors of the segment, whatever the head says. */
static void put_with_descriptors(struct braid_connection *connection, const struct braid_frame *frame, const void *body,
                                 int fd, unsigned count) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(3 * sizeof(int))];
  } control = {0};
  struct iovec vector[] = {{(void *)(uintptr_t)frame, sizeof *frame}, {(void *)(uintptr_t)body, (size_t)frame->size}};
  struct msghdr head = {.msg_iov = vector, .msg_iovlen = 2};
  if (count > 0) {
    head.msg_control = &control;
    head.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&head);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (unsigned i = 0; i < count; i++) memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof fd);
  }
  if (connection->fd >= 0) sendmsg(connection->fd, &head, MSG_NOSIGNAL);
}

/* Memory of arrays: most of it is as it should be. */
static void put_segment(struct neighbours *n, struct input *input, unsigned from, const struct braid_shm *segment) {
  struct {
    uint64_t serial, inode, place;
    uint32_t gone[2];
  } body = {segment->serial + take(input, 1) % 4, segment->inode, number(input), {0}};
  uint64_t slips = take(input, 1);
  if (slips % 8 == 1) body.inode++;
  body.gone[0] = (uint32_t)number(input);
  struct braid_frame frame = {
      .magic = BRAID_FRAME_MAGIC, .kind = BRAID_FRAME_SEGMENT, .descriptors = slips % 16 == 2 ? 2 : slips % 8 != 3};
  frame.size = slips % 8 == 4 ? number(input) % sizeof body : sizeof body;
  frame.status = slips % 8 == 5 ? (uint32_t)number(input) : 0;
  put_with_descriptors(&n->connections[from], &frame, &body, segment->fd, slips % 16 == 6 ? 3 : slips % 16 != 7);
}

/* A message that mentions an array: see connection.c and marshal.c. */
static void put_array(struct neighbours *n, struct input *input, unsigned from, const struct braid_shm *segment) {
  enum { MENTION_OBJECT = 3 };
  struct {
    uint64_t size, mentions;
    uint32_t what, place, upvalues;
    uint64_t more;
    struct braid_wire_object wire;
  } body = {.mentions = 1, .what = MENTION_OBJECT};
  body.wire = (struct braid_wire_object){.id = number(input), .value = segment->serial + take(input, 1) % 4};
  body.wire.class = (uint32_t)(BRAID_PROXY_ARRAY | number(input) << 8);
  body.wire.flags = (uint32_t)(take(input, 1) % 8);
  body.wire.more[0] = number(input);
  body.wire.more[1] = number(input);
  struct braid_frame frame = {
      .magic = BRAID_FRAME_MAGIC, .kind = BRAID_FRAME_JOB, .has_message = 1, .size = sizeof body};
  put_with_descriptors(&n->connections[from], &frame, &body, -1, 0);
}

static void put_bytes(struct neighbours *n, struct input *input, unsigned from) {
  size_t size = take(input, 1);
  if (size > (size_t)(input->end - input->at)) size = (size_t)(input->end - input->at);
  if (n->connections[from].fd >= 0) send(n->connections[from].fd, input->at, size, MSG_NOSIGNAL);
  input->at += size;
}

/* Gives up what a get brought. */
static void drop_item(struct braid_waiter *waiter) {
  if (waiter->state == 1 && waiter->status == BRAID_OK) braid_item_drop(braid_wait_node_item(&waiter->node));
  waiter->node.tag = BRAID_ITEM_NONE;
}

/* What is in a buffer may mention the proxy itself. */
static void drain(struct braid_proxy *proxy) {
  struct braid_queue_cell cell;
  while (proxy->kind == BRAID_PROXY_QUEUE && braid_proxy_get(proxy, &cell, NULL) == BRAID_OK)
    braid_item_drop(cell.item);
}

/* What proxies do in earnest: so that there are requests, places and items. */
static void use_queue(struct neighbours *n, struct input *input, struct braid_object *object,
                      struct braid_waiter *waiter) {
  struct braid_proxy *proxy = braid_proxy_of(object);
  struct braid_queue_cell cell = {.item = {take(input, 1), BRAID_ITEM_INTEGER}};
  if (proxy->kind != BRAID_PROXY_QUEUE || waiter->state != 1) return; /* it waits, or is on its way home */
  bool gets = take(input, 1) % 2;
  drop_item(waiter);
  braid_waiter_init(waiter, &n->io_thread.loop, BRAID_WAITER_TASK);
  braid_waiter_arm(waiter);
  enum braid_status status =
      gets ? braid_proxy_get(proxy, &cell, &waiter->node) : braid_proxy_put(proxy, &cell, &waiter->node);
  if (status == BRAID_WAIT) return;
  if (gets && status == BRAID_OK) braid_item_drop(cell.item);
  waiter->node.tag = BRAID_ITEM_NONE;
  braid_waiter_claim(waiter, status);
  waiter->state = 1;
}

static void give_up(struct neighbours *n, struct braid_waiter *waiter) {
  if (braid_waiter_waiting(waiter)) braid_loop_end_wait(&n->io_thread.loop, waiter, BRAID_CANCELLED);
}

static void play(struct neighbours *n, struct input *input, struct braid_object **proxies, struct braid_waiter *waiters,
                 const struct braid_shm *segment) {
  while (input->at < input->end) {
    unsigned deed = (unsigned)take(input, 1), which = deed / 8;
    switch (deed % 8) {
      case 0:
      case 1:
      case 2: put_frame(n, input, which % ENDS); break;
      case 3: put_bytes(n, input, which % ENDS); break;
      case 4: use_queue(n, input, proxies[which % 4], &waiters[take(input, 1) % WAITERS]); break;
      case 5: give_up(n, &waiters[which % WAITERS]); break;
      case 6:
        if (which >= 24)
          braid_proxy_settle_all();
        else if (which % 2)
          put_segment(n, input, which / 2 % ENDS, segment);
        else
          put_array(n, input, which / 2 % ENDS, segment);
        break;
      default: neighbours_settle(n);
    }
  }
  neighbours_settle(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static struct braid_io_thread *real; /* what is orphaned asks for one, and must not start it each time */
  static struct braid_shm *segment;
  struct input input = {bytes, bytes + size};
  struct neighbours n;
  struct braid_object *objects[OBJECTS], *proxies[4];
  struct braid_waiter waiters[WAITERS];
  if (!real) real = braid_io_thread_enter();
  if (!segment) segment = braid_shm_new(5000);
  neighbours_open(&n);
  make(objects);
  for (int i = 0; i < WAITERS; i++) {
    braid_waiter_init(&waiters[i], &n.io_thread.loop, BRAID_WAITER_TASK);
    waiters[i].state = 1;
  }
  for (int i = 0; i < OBJECTS; i++) {
    struct braid_object *object = neighbours_send(&n, HOME, objects[i]);
    struct braid_object *beyond = neighbours_send(&n, MIDDLE_FAR, object);
    if (i >= 2) continue;
    proxies[i * 2] = object;
    proxies[i * 2 + 1] = beyond;
    braid_object_ref(object);
    braid_object_ref(beyond);
  }
  play(&n, &input, proxies, waiters, segment);
  for (int i = 0; i < WAITERS; i++) give_up(&n, &waiters[i]);
  neighbours_settle(&n);
  for (int i = 0; i < WAITERS; i++) drop_item(&waiters[i]);
  for (int i = 0; i < 4; i++) {
    drain(braid_proxy_of(proxies[i]));
    braid_object_unref(proxies[i]);
  }
  neighbours_close(&n);
  for (int i = 0; i < 2; i++) braid_queue_close(braid_container(objects[i], struct braid_queue, object), true);
  for (int i = 0; i < OBJECTS; i++) braid_object_unref(objects[i]);
  return 0;
}
