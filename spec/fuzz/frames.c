/* SPDX-License-Identifier: MIT
 * Any frames, from each of the four ends of three processes in a row: whatever comes, memory stays in order, and what
 * is no protocol ends its link. An input is a list of deeds: a byte that says which, and what that needs. */
#include "../../csrc/core/counter.h"
#include "../../csrc/core/dict.h"
#include "../../csrc/core/gate.h"
#include "../core/neighbours.h"

enum { OBJECTS = 9, WAITERS = 16 };

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
  struct braid_gate *lock = braid_gate_new(&braid_lock_class, 0, 0);
  objects[0] = &braid_queue_new(3, BRAID_FIFO)->object;
  objects[1] = &braid_queue_new(0, BRAID_PRIORITY)->object;
  objects[2] = &lock->object;
  objects[3] = &braid_gate_new(&braid_semaphore_class, 2, 2)->object;
  objects[4] = &braid_gate_new(&braid_event_class, 0, 0)->object;
  objects[5] = &braid_condition_new(lock)->object;
  objects[6] = &braid_gate_new(&braid_barrier_class, 0, 2)->object;
  objects[7] = &braid_counter_new(0)->object;
  objects[8] = &braid_dict_new()->object;
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
  if (n->links[from].fd < 0) return;
  if (send(n->links[from].fd, &frame, sizeof frame, MSG_NOSIGNAL) < 0) return;
  if (frame.size) send(n->links[from].fd, body, (size_t)frame.size, MSG_NOSIGNAL);
}

static void put_bytes(struct neighbours *n, struct input *input, unsigned from) {
  size_t size = take(input, 1);
  if (size > (size_t)(input->end - input->at)) size = (size_t)(input->end - input->at);
  if (n->links[from].fd >= 0) send(n->links[from].fd, input->at, size, MSG_NOSIGNAL);
  input->at += size;
}

/* What stubs do in earnest: so that there are requests, places and items. */
static void use_queue(struct neighbours *n, struct input *input, struct braid_object *stub,
                      struct braid_waiter *waiter) {
  struct braid_remote *remote = braid_remote_of(stub);
  struct braid_queue_cell cell = {.item = {take(input, 1), BRAID_ITEM_INTEGER}};
  if (remote->kind != BRAID_REMOTE_QUEUE || waiter->state != 1) return; /* it waits, or is on its way home */
  bool gets = take(input, 1) % 2;
  braid_waiter_init(waiter, &n->broker.loop, BRAID_WAITER_TASK);
  braid_waiter_arm(waiter);
  enum braid_status status =
      gets ? braid_remote_get(remote, &cell, &waiter->hook) : braid_remote_put(remote, &cell, &waiter->hook);
  if (status == BRAID_WAIT) return;
  braid_waiter_claim(waiter, status);
  waiter->state = 1;
}

static void give_up(struct neighbours *n, struct braid_waiter *waiter) {
  if (braid_waiter_waiting(waiter)) braid_loop_end_wait(&n->broker.loop, waiter, BRAID_CANCELLED);
}

static void play(struct neighbours *n, struct input *input, struct braid_object **stubs, struct braid_waiter *waiters) {
  while (input->at < input->end) {
    unsigned deed = (unsigned)take(input, 1), which = deed / 8;
    switch (deed % 8) {
      case 0:
      case 1:
      case 2: put_frame(n, input, which % ENDS); break;
      case 3: put_bytes(n, input, which % ENDS); break;
      case 4: use_queue(n, input, stubs[which % 4], &waiters[take(input, 1) % WAITERS]); break;
      case 5: give_up(n, &waiters[which % WAITERS]); break;
      case 6: braid_remote_settle_all(); break;
      default: neighbours_settle(n);
    }
  }
  neighbours_settle(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static struct braid_broker *real; /* what is orphaned asks for one, and must not start it each time */
  struct input input = {bytes, bytes + size};
  struct neighbours n;
  struct braid_object *objects[OBJECTS], *stubs[4];
  struct braid_waiter waiters[WAITERS];
  if (!real) real = braid_broker_enter();
  neighbours_open(&n);
  make(objects);
  for (int i = 0; i < WAITERS; i++) {
    braid_waiter_init(&waiters[i], &n.broker.loop, BRAID_WAITER_TASK);
    waiters[i].state = 1;
  }
  for (int i = 0; i < OBJECTS; i++) {
    struct braid_object *stub = neighbours_send(&n, HOME, objects[i]);
    struct braid_object *beyond = neighbours_send(&n, MIDDLE_FAR, stub);
    if (i >= 2) continue;
    stubs[i * 2] = stub;
    stubs[i * 2 + 1] = beyond;
    braid_object_ref(stub);
    braid_object_ref(beyond);
  }
  play(&n, &input, stubs, waiters);
  for (int i = 0; i < WAITERS; i++) give_up(&n, &waiters[i]);
  neighbours_settle(&n);
  for (int i = 0; i < 4; i++) braid_object_unref(stubs[i]);
  neighbours_close(&n);
  for (int i = 0; i < OBJECTS; i++) braid_object_unref(objects[i]);
  return 0;
}
