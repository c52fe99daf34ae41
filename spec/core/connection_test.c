/* SPDX-License-Identifier: MIT
 * Connections: frames and messages over a socket, and through pipes; both ends served by one I/O thread. */
#include "core/process/connection.h"

#include <sched.h>
#include <sys/socket.h>

#include "core/process/protocol.h"
#include "check.h"

static struct braid_connection near, far;
static struct braid_io_thread *io_thread;
static struct braid_errand opener;
static int ends[2];
static atomic_int came, ended, opened, shared_code;
static atomic_ullong sum, bytes;
static pthread_t looker;
static atomic_int looked, pongs;  /* replies that the looker has handled; PONGs, which it must not handle */
static struct braid_pipes *pipes; /* NULL: everything goes through the socket */

static void on_job(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  uint64_t skipped;
  struct braid_message *message = braid_connection_message(connection, frame, body, sizeof skipped);
  check(message != NULL);
  if (!message) return;
  memcpy(&skipped, body, sizeof skipped);
  check(skipped == frame->id * 3);
  static struct braid_object *before;
  if (frame->id == 1) before = NULL; /* of another test; a new object may have its address */
  if (message->object_count > 0 && message->objects[0] == before) atomic_fetch_add(&shared_code, 1);
  if (message->object_count > 0) before = message->objects[0];
  struct braid_frame reply = {.kind = BRAID_FRAME_REPLY, .id = frame->id, .value = message->size};
  check(braid_connection_put_message(connection, reply, NULL, 0, message));
  braid_connection_flush(connection);
  braid_message_unref(message);
}

static void on_reply(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_message *message = braid_connection_message(connection, frame, body, 0);
  check(message && message->size == frame->value);
  if (message && message->size > 0) {
    check(message->bytes[0] == 'x' && message->bytes[message->size - 1] == 'x');
  }
  if (message) braid_message_unref(message);
  if (pthread_equal(pthread_self(), looker)) atomic_fetch_add(&looked, 1);
  atomic_fetch_add(&sum, frame->id);
  atomic_fetch_add(&bytes, frame->value);
  atomic_fetch_add(&came, 1);
}

static void on_pong(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)connection, (void)frame, (void)body;
  check(!pthread_equal(pthread_self(), looker) && atomic_load(&came) == 0);
  atomic_fetch_add(&pongs, 1);
}

/* ITEMS and PLACES; those with the status 1 mention an object. */
static void on_items(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)connection, (void)body;
  bool looks = pthread_equal(pthread_self(), looker);
  check(!(looks && frame->status == 1));
  if (looks) atomic_fetch_add(&looked, 1);
  check(frame->value == (uint64_t)atomic_load(&came));
  atomic_fetch_add(&came, 1);
}

static struct braid_frame puts_seen[8];

static void on_put(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_queue_cell cells[256];
  check(frame->id <= 256 && braid_connection_items(connection, frame, body, 0, cells, (size_t)frame->id));
  for (uint64_t i = 0; i < frame->id; i++) {
    if (cells[i].item.tag == BRAID_ITEM_INTEGER) check(cells[i].item.bits == atomic_fetch_add(&sum, 1));
    braid_item_drop(cells[i].item);
  }
  puts_seen[atomic_load(&came)] = *frame;
  atomic_fetch_add(&came, 1);
}

static pthread_mutex_t closing = PTHREAD_MUTEX_INITIALIZER; /* who puts what ends the connection holds it meanwhile */

static void on_end(struct braid_connection *connection) {
  check(connection == &near);
  pthread_mutex_lock(&closing);
  braid_connection_close(connection);
  pthread_mutex_unlock(&closing);
  atomic_fetch_add(&ended, 1);
}

static void open_both(struct braid_errand *errand) {
  (void)errand;
  check(braid_connection_open(&near, io_thread, ends[0], NULL) == 0);
  check(braid_connection_open(&far, io_thread, ends[1], NULL) == 0);
  if (pipes) braid_connection_use_pipes(&near, &pipes->down, &pipes->up);
  if (pipes) braid_connection_use_pipes(&far, &pipes->up, &pipes->down);
  near.ended = on_end;
  braid_connection_handle(&near, BRAID_FRAME_REPLY, on_reply);
  braid_connection_handle(&near, BRAID_FRAME_PONG, on_pong);
  braid_connection_handle(&near, BRAID_FRAME_ITEMS, on_items);
  braid_connection_handle(&near, BRAID_FRAME_PLACES, on_items);
  braid_connection_handle(&far, BRAID_FRAME_PUT, on_put);
  braid_connection_handle(&far, BRAID_FRAME_JOB, on_job);
  atomic_store(&opened, 1);
}

static void close_far(struct braid_errand *errand) {
  (void)errand;
  braid_connection_close(&far);
  atomic_store(&opened, 2);
}

static void until(atomic_int *counter, int value) {
  while (atomic_load(counter) < value) usleep(200);
}

static void begin(void) {
  io_thread = braid_io_thread_enter();
  check(io_thread != NULL);
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  atomic_store(&came, 0);
  atomic_store(&ended, 0);
  atomic_store(&opened, 0);
  atomic_store(&sum, 0);
  atomic_store(&bytes, 0);
  braid_errand_init(&opener, io_thread, open_both);
  braid_errand_send(&opener);
  until(&opened, 1);
}

/* The other end is told when one is closed. */
static void end(void) {
  static struct braid_errand closer;
  braid_errand_init(&closer, io_thread, close_far);
  braid_errand_send(&closer);
  until(&ended, 1);
  braid_io_thread_leave(io_thread);
}

static void put(uint64_t id, size_t size, struct braid_object *object) {
  char *text = malloc(size + 1);
  memset(text, 'x', size);
  struct braid_message *message = braid_message_new(text, size, &object, object ? 1 : 0);
  uint64_t extra = id * 3;
  struct braid_frame frame = {.kind = BRAID_FRAME_JOB, .id = id};
  check(braid_connection_put_message(&near, frame, &extra, sizeof extra, message));
  braid_message_unref(message);
  free(text);
}

static void small_messages(void) {
  begin();
  for (uint64_t i = 1; i <= 10000; i++) {
    put(i, 10, NULL);
    if (i % 7 == 0) braid_connection_flush(&near);
  }
  braid_connection_flush(&near);
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
    braid_connection_flush(&near);
  }
  until(&came, 48);
  check(atomic_load(&bytes) == total);
  end();
}

static void code_travels_once(void) {
  struct braid_bytecode *code = braid_bytecode_new("code", 4, 2);
  braid_object_share(&code->object);
  begin();
  atomic_store(&shared_code, 0);
  for (uint64_t i = 1; i <= 5; i++) put(i, 100, &code->object);
  braid_connection_flush(&near);
  until(&came, 5);
  check(atomic_load(&shared_code) == 4);
  end();
  while (atomic_load(&code->object.refs) > 1) usleep(200);
  braid_object_unref(&code->object);
}

static void objects_need_a_marshal(void) {
  static const struct braid_class class = {"braid.thing", NULL};
  struct braid_object thing, *mentioned = &thing;
  struct braid_frame frame = {.kind = BRAID_FRAME_JOB};
  braid_object_init(&thing, &class);
  struct braid_message *message = braid_message_new("", 0, &mentioned, 1);
  begin();
  pthread_mutex_lock(&closing);
  check(!braid_connection_put_message(&near, frame, NULL, 0, message));
  pthread_mutex_unlock(&closing);
  end();
  braid_message_unref(message);
}

/* ---- the same through pipes ------------------------------------------------------------------------------------ */

static void through_pipes(void (*test)(void)) {
  int fd;
  pipes = braid_pipes_new(&fd);
  check(pipes != NULL);
  close(fd);
  test();
  braid_pipes_free(pipes);
  pipes = NULL;
}

static void small_messages_through_pipes(void) { through_pipes(small_messages); }
static void messages_of_all_sizes_through_pipes(void) { through_pipes(messages_of_all_sizes); }
static void code_travels_once_through_pipes(void) { through_pipes(code_travels_once); }

/* Looks for a while, until so many replies came, or longer if a look has never met one: on a busy machine the other
 * side may be slow. The I/O thread reads what comes later. */
static void look_for(int replies) {
  braid_connection_look(&near, BRAID_LOOK_BEGIN);
  for (int i = 0; atomic_load(&came) < replies && i < (atomic_load(&looked) ? 300 : 1000000); i++) {
    braid_connection_look(&near, BRAID_LOOK_AGAIN);
    sched_yield();
  }
  braid_connection_look(&near, BRAID_LOOK_END);
  until(&came, replies);
}

static void who_waits_looks(void) {
  static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
  looker = pthread_self();
  braid_connection_let_look(&near, &reading);
  begin();
  for (int i = 1; i <= 500; i++) {
    put((uint64_t)i, 10, NULL);
    braid_connection_flush(&near);
    look_for(i);
  }
  check(atomic_load(&sum) == 500ull * 501 / 2 && atomic_load(&looked) > 0);
  end();
  braid_connection_look(&near, BRAID_LOOK_AGAIN); /* it is closed: nothing happens */
  braid_connection_let_look(&near, NULL);
}

/* The I/O thread handles a frame that is not light, and what follows comes after it. */
static void other_frames_are_left(void) {
  static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
  struct braid_message *message = braid_message_new("", 0, NULL, 0);
  looker = pthread_self();
  braid_connection_let_look(&near, &reading);
  begin();
  check(braid_connection_put(&far, (struct braid_frame){.kind = BRAID_FRAME_PONG}, NULL, 0));
  check(braid_connection_send(&far, (struct braid_frame){.kind = BRAID_FRAME_REPLY, .id = 1}, message));
  look_for(1);
  check(atomic_load(&pongs) == 1);
  end();
  braid_connection_let_look(&near, NULL);
  braid_message_unref(message);
}

/* Items without shared objects, and places, are light. */
static void items_are_light(void) {
  static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
  struct {
    struct braid_wire_item item;
    uint64_t size, mentions;
    uint32_t what, place, upvalues, zero;
    uint64_t code;
    struct braid_wire_object wire;
  } heavy = {.item.tag = BRAID_ITEM_MESSAGE, .mentions = 1, .what = 3};
  struct braid_message *message = braid_message_new("hello", 5, NULL, 0);
  struct braid_queue_cell cells[2] = {{.item = {7, BRAID_ITEM_INTEGER}},
                                      {.item = {(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE}}};
  looker = pthread_self();
  atomic_store(&looked, 0);
  braid_connection_let_look(&near, &reading);
  begin();
  for (int i = 0; i < 150; i += 3) {
    struct braid_frame frame = {.kind = BRAID_FRAME_ITEMS, .id = 2, .value = (uint64_t)i};
    check(braid_connection_put_items(&far, frame, NULL, 0, cells, 2));
    frame = (struct braid_frame){.kind = BRAID_FRAME_PLACES, .id = 2, .value = (uint64_t)i + 1};
    check(braid_connection_put(&far, frame, NULL, 0));
    braid_connection_flush(&far);
    look_for(i + 2);
    frame = (struct braid_frame){.kind = BRAID_FRAME_ITEMS, .id = 1, .value = (uint64_t)i + 2, .status = 1};
    check(braid_connection_put(&far, frame, &heavy, sizeof heavy));
    braid_connection_flush(&far);
    look_for(i + 3);
  }
  check(atomic_load(&looked) > 0);
  end();
  braid_connection_let_look(&near, NULL);
  braid_message_unref(message);
}

static void items_are_light_in_pipes(void) { through_pipes(items_are_light); }

static void put_item(uint64_t value, struct braid_item item) {
  struct braid_frame frame = {.kind = BRAID_FRAME_PUT, .value = value, .id = 1};
  check(braid_connection_put_items(&near, frame, NULL, 0, &(struct braid_queue_cell){.item = item}, 1));
}

/* PUTs about one queue make one frame, if no other frame is between them and they are not too much. */
static void puts_are_joined(void) {
  static char text[20000];
  struct braid_message *large = braid_message_new(text, sizeof text, NULL, 0);
  begin();
  for (uint64_t i = 0; i < 300; i++) put_item(1, (struct braid_item){i, BRAID_ITEM_INTEGER});
  put_item(2, (struct braid_item){300, BRAID_ITEM_INTEGER});
  put_item(1, (struct braid_item){301, BRAID_ITEM_INTEGER});
  for (int i = 0; i < 2; i++) put_item(1, (struct braid_item){(uint64_t)(uintptr_t)large, BRAID_ITEM_MESSAGE});
  braid_connection_flush(&near);
  until(&came, 5);
  put_item(1, (struct braid_item){302, BRAID_ITEM_INTEGER}); /* the others have gone */
  braid_connection_flush(&near);
  until(&came, 6);
  static const struct braid_frame expected[] = {{.value = 1, .id = 256}, {.value = 1, .id = 44}, {.value = 2, .id = 1},
                                                {.value = 1, .id = 2},   {.value = 1, .id = 1},  {.value = 1, .id = 1}};
  for (int i = 0; i < 6; i++) check(puts_seen[i].value == expected[i].value && puts_seen[i].id == expected[i].id);
  check(atomic_load(&sum) == 303);
  end();
  braid_message_unref(large);
}

static void puts_are_joined_in_pipes(void) { through_pipes(puts_are_joined); }

static void who_waits_looks_into_pipes(void) { through_pipes(who_waits_looks); }
static void other_frames_are_left_in_pipes(void) { through_pipes(other_frames_are_left); }

/* A worker that could not map the pipes says so through the socket. */
static void frames_also_come_through_the_socket(void) {
  int fd;
  pipes = braid_pipes_new(&fd);
  close(fd);
  begin();
  struct braid_frame head = {.magic = BRAID_FRAME_MAGIC, .kind = BRAID_FRAME_REPLY, .id = 3, .has_message = 1};
  uint64_t body[2] = {0, 0}; /* an empty message */
  head.size = sizeof body;
  check(write(ends[1], &head, sizeof head) == sizeof head && write(ends[1], body, sizeof body) == sizeof body);
  until(&came, 1);
  check(atomic_load(&sum) == 3);
  end();
  braid_pipes_free(pipes);
  pipes = NULL;
}

/* What the other end claims to have written. */
static void a_pipe_that_lies_ends_the_connection(void) {
  int fd;
  unsigned char call = BRAID_PIPE_CALL;
  pipes = braid_pipes_new(&fd);
  close(fd);
  begin();
  atomic_store(&pipes->up.writer.at, UINT64_MAX / 2);
  check(write(ends[1], &call, 1) == 1);
  until(&ended, 1);
  check(near.fault != NULL);
  static struct braid_errand closer;
  braid_errand_init(&closer, io_thread, close_far);
  braid_errand_send(&closer);
  until(&opened, 2);
  braid_io_thread_leave(io_thread);
  braid_pipes_free(pipes);
  pipes = NULL;
}

CHECK_MAIN({"connection: small messages, many in one call", small_messages},
           {"connection: messages of all sizes", messages_of_all_sizes},
           {"connection: code travels once", code_travels_once},
           {"connection: objects need a marshal", objects_need_a_marshal},
           {"connection: small messages through pipes", small_messages_through_pipes},
           {"connection: messages of all sizes through pipes", messages_of_all_sizes_through_pipes},
           {"connection: code travels once through pipes", code_travels_once_through_pipes},
           {"connection: who waits looks into pipes", who_waits_looks_into_pipes},
           {"connection: items and places are read by who looks", items_are_light_in_pipes},
           {"connection: puts are joined", puts_are_joined},
           {"connection: puts are joined in pipes", puts_are_joined_in_pipes},
           {"connection: a thread that looks leaves other frames to the I/O thread", other_frames_are_left_in_pipes},
           {"connection: frames also come through the socket", frames_also_come_through_the_socket},
           {"connection: a pipe that lies ends the connection", a_pipe_that_lies_ends_the_connection})
