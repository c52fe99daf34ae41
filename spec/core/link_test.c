/* SPDX-License-Identifier: MIT
 * Links: frames and messages over a socket, both ends served by one broker. */
#include "core/process/connection.h"

#include <sys/socket.h>

#include "check.h"

static struct braid_link near, far;
static struct braid_broker *broker;
static struct braid_errand opener;
static int ends[2];
static atomic_int came, ended, opened, shared_code;
static atomic_ullong sum, bytes;

static void on_job(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  uint64_t skipped;
  struct braid_message *message = braid_link_message(link, frame, body, sizeof skipped);
  check(message != NULL);
  if (!message) return;
  memcpy(&skipped, body, sizeof skipped);
  check(skipped == frame->id * 3);
  static struct braid_object *before;
  if (message->object_count > 0 && message->objects[0] == before) atomic_fetch_add(&shared_code, 1);
  if (message->object_count > 0) before = message->objects[0];
  struct braid_frame reply = {.kind = BRAID_FRAME_REPLY, .id = frame->id, .value = message->size};
  check(braid_link_put_message(link, reply, NULL, 0, message));
  braid_link_flush(link);
  braid_message_unref(message);
}

static void on_reply(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_message *message = braid_link_message(link, frame, body, 0);
  check(message && message->size == frame->value);
  if (message && message->size > 0) {
    check(message->bytes[0] == 'x' && message->bytes[message->size - 1] == 'x');
  }
  if (message) braid_message_unref(message);
  atomic_fetch_add(&sum, frame->id);
  atomic_fetch_add(&bytes, frame->value);
  atomic_fetch_add(&came, 1);
}

static void on_end(struct braid_link *link) {
  check(link == &near);
  atomic_fetch_add(&ended, 1);
  braid_link_close(link);
}

static void open_both(struct braid_errand *errand) {
  (void)errand;
  check(braid_link_open(&near, broker, ends[0]) == 0);
  check(braid_link_open(&far, broker, ends[1]) == 0);
  near.ended = on_end;
  braid_link_handle(&near, BRAID_FRAME_REPLY, on_reply);
  braid_link_handle(&far, BRAID_FRAME_JOB, on_job);
  atomic_store(&opened, 1);
}

static void close_far(struct braid_errand *errand) {
  (void)errand;
  braid_link_close(&far);
}

static void until(atomic_int *counter, int value) {
  while (atomic_load(counter) < value) usleep(200);
}

static void begin(void) {
  broker = braid_broker_enter();
  check(broker != NULL);
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  atomic_store(&came, 0);
  atomic_store(&ended, 0);
  atomic_store(&opened, 0);
  atomic_store(&sum, 0);
  atomic_store(&bytes, 0);
  braid_errand_init(&opener, broker, open_both);
  braid_errand_send(&opener);
  until(&opened, 1);
}

/* The other end is told when one is closed. */
static void end(void) {
  static struct braid_errand closer;
  braid_errand_init(&closer, broker, close_far);
  braid_errand_send(&closer);
  until(&ended, 1);
  braid_broker_leave(broker);
}

static void put(uint64_t id, size_t size, struct braid_object *object) {
  char *text = malloc(size + 1);
  memset(text, 'x', size);
  struct braid_message *message = braid_message_new(text, size, &object, object ? 1 : 0);
  uint64_t extra = id * 3;
  struct braid_frame frame = {.kind = BRAID_FRAME_JOB, .id = id};
  check(braid_link_put_message(&near, frame, &extra, sizeof extra, message));
  braid_message_unref(message);
  free(text);
}

static void small_messages(void) {
  begin();
  for (uint64_t i = 1; i <= 10000; i++) {
    put(i, 10, NULL);
    if (i % 7 == 0) braid_link_flush(&near);
  }
  braid_link_flush(&near);
  until(&came, 10000);
  check(atomic_load(&sum) == 10000ull * 10001 / 2);
  end();
}

static void messages_of_all_sizes(void) {
  begin();
  unsigned long long total = 0;
  for (uint64_t i = 1; i <= 24; i++) {
    size_t size = (size_t)1 << i;
    put(i, size, NULL);
    put(i, 0, NULL);
    total += size;
    braid_link_flush(&near);
  }
  until(&came, 48);
  check(atomic_load(&bytes) == total);
  end();
}

static void code_travels_once(void) {
  struct braid_code *code = braid_code_new("code", 4, 2);
  braid_object_share(&code->object);
  begin();
  atomic_store(&shared_code, 0);
  for (uint64_t i = 1; i <= 5; i++) put(i, 100, &code->object);
  braid_link_flush(&near);
  until(&came, 5);
  check(atomic_load(&shared_code) == 4);
  end();
  while (atomic_load(&code->object.refs) > 1) usleep(200);
  braid_object_unref(&code->object);
}

static void objects_need_a_passport(void) {
  static const struct braid_class class = {"braid.thing", NULL};
  struct braid_object thing, *mentioned = &thing;
  const struct braid_object *which = NULL;
  braid_object_init(&thing, &class);
  struct braid_message *message = braid_message_new("", 0, &mentioned, 1);
  check(braid_link_refuse(message, &which) != NULL);
  check(which == &thing);
  braid_message_unref(message);
}

CHECK_MAIN({"link: small messages, many in one call", small_messages},
           {"link: messages of all sizes", messages_of_all_sizes}, {"link: code travels once", code_travels_once},
           {"link: objects need a passport", objects_need_a_passport})
