/* SPDX-License-Identifier: MIT
 * Arrays over a connection: descriptors travel once, and what comes of an end that is not ours is not believed. Two
 * connections in one process, served by one I/O thread; or one, and a socket on which the test writes what it likes. */
#include "core/process/shm_table.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "core/memory/array.h"
#include "core/process/marshal.h"
#include "check.h"

static struct braid_connection near, far;
static struct braid_io_thread *io_thread;
static int ends[2];
static bool with_far;
static atomic_int opened, ended, came, refused, last_error;
static struct braid_message *last; /* that came to `far`; the I/O thread, or when `came` was seen */

static void until(atomic_int *counter, int value) {
  while (atomic_load(counter) < value) usleep(200);
}

static void on_message(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_message *message = braid_connection_message(connection, frame, body, 0);
  if (!message) atomic_store(&last_error, errno);
  if (last) braid_message_unref(last);
  last = message;
  atomic_fetch_add(message ? &came : &refused, 1);
}

static void on_end(struct braid_connection *connection) {
  (void)connection;
  atomic_fetch_add(&ended, 1);
}

static void open_connections(struct braid_errand *errand) {
  (void)errand;
  check(braid_connection_open(&near, io_thread, ends[0], &braid_marshal) == 0);
  near.ended = on_end;
  braid_connection_handle(&near, BRAID_FRAME_REPLY, on_message);
  if (with_far) check(braid_connection_open(&far, io_thread, ends[1], &braid_marshal) == 0);
  if (with_far) braid_connection_handle(&far, BRAID_FRAME_JOB, on_message);
  atomic_store(&opened, 1);
}

static void close_connections(struct braid_errand *errand) {
  (void)errand;
  if (last) braid_message_unref(last);
  last = NULL;
  braid_connection_close(&near);
  if (with_far) braid_connection_close(&far);
  atomic_store(&opened, 2);
}

static void on_io_thread(void (*run)(struct braid_errand *), int state) {
  static struct braid_errand errand;
  braid_errand_init(&errand, io_thread, run);
  braid_errand_send(&errand);
  until(&opened, state);
}

static void begin(bool both) {
  atomic_int *counters[] = {&opened, &ended, &came, &refused, &last_error};
  for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) atomic_store(counters[i], 0);
  with_far = both;
  io_thread = braid_io_thread_enter();
  check(io_thread && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  on_io_thread(open_connections, 1);
}

static void end(void) {
  on_io_thread(close_connections, 2);
  if (!with_far) close(ends[1]);
  braid_io_thread_leave(io_thread);
}

static void send_array(struct braid_array *array) {
  struct braid_object *object = &array->object;
  struct braid_message *message = braid_message_new("x", 1, &object, 1);
  check(braid_connection_put_message(&near, (struct braid_frame){.kind = BRAID_FRAME_JOB}, NULL, 0, message));
  braid_connection_flush(&near);
  braid_message_unref(message);
}

static struct braid_array *new_array(size_t length) {
  struct braid_array *array = braid_array_new(BRAID_F64, length);
  braid_object_share(&array->object);
  return array;
}

/* ---- between two of ours -------------------------------------------------------------------------------------- */

static void arrays_arrive(void) {
  begin(true);
  struct braid_array *arrays[20];
  for (int i = 0; i < 20; i++) {
    arrays[i] = new_array((size_t)1 << i);
    ((double *)arrays[i]->data)[0] = i;
    send_array(arrays[i]);
    until(&came, i + 1);
    struct braid_array *there = braid_container(last->objects[0], struct braid_array, object);
    check(there != arrays[i] && there->length == arrays[i]->length && ((double *)there->data)[0] == i);
  }
  for (int i = 0; i < 20; i++) braid_object_unref(&arrays[i]->object);
  end();
}

/* As a process would that does not tell the truth. */
static void lies_are_refused(void) {
  begin(true);
  struct braid_array *array = new_array(1000);
  size_t length = array->length;
  void *data = array->data;
  array->length = (size_t)1 << 40;
  send_array(array);
  until(&refused, 1);
  check(atomic_load(&last_error) == EBADMSG);
  array->length = length;
  array->data = (char *)data - (1 << 30);
  send_array(array);
  until(&refused, 2);
  check(atomic_load(&last_error) == EBADMSG);
  array->data = data;
  send_array(array);
  until(&came, 1);
  braid_object_unref(&array->object);
  end();
}

/* ---- with something else at the other end --------------------------------------------------------------------- */

struct wire_segment {
  uint64_t serial, inode, place;
};

/* Reads all that has come; returns how many descriptors came along, which are closed. */
static int read_descriptors(void) {
  int count = 0;
  for (;;) {
    char bytes[4096];
    union {
      struct cmsghdr head;
      char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {bytes, sizeof bytes};
    struct msghdr head = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    if (recvmsg(ends[1], &head, 0) < 0) return count;
    struct cmsghdr *first = CMSG_FIRSTHDR(&head);
    if (!first) continue;
    int fd;
    memcpy(&fd, CMSG_DATA(first), sizeof fd);
    close(fd);
    count++;
  }
}

static void write_frame(struct braid_frame frame, const void *body, size_t size, int descriptor, int descriptors) {
  char bytes[256];
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(200 * sizeof(int))];
  } control = {0};
  size_t room = (size_t)descriptors * sizeof descriptor;
  frame.magic = BRAID_FRAME_MAGIC;
  frame.size = size;
  memcpy(bytes, &frame, sizeof frame);
  if (size) memcpy(bytes + sizeof frame, body, size);
  struct iovec vector = {bytes, sizeof frame + size};
  struct msghdr head = {.msg_iov = &vector, .msg_iovlen = 1};
  if (descriptors > 0) {
    head.msg_control = &control;
    head.msg_controllen = (socklen_t)CMSG_SPACE(room);
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&head);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = (socklen_t)CMSG_LEN(room);
    for (int i = 0; i < descriptors; i++) memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int), &descriptor, sizeof(int));
  }
  while (sendmsg(ends[1], &head, MSG_NOSIGNAL) < 0 && errno == EAGAIN) usleep(200);
}

/* How many descriptors travel with a message of this array. */
static int descriptors_with(struct braid_array *array) {
  send_array(array);
  return read_descriptors();
}

static void a_descriptor_travels_once(void) {
  begin(false);
  struct braid_array *array = new_array(100), *large = new_array(20000000);
  check(descriptors_with(array) == 1);
  for (int i = 0; i < 5; i++) check(descriptors_with(array) == 0);
  check(descriptors_with(large) == 1);
  for (int i = 0; i < 5; i++) check(descriptors_with(large) == 0 && descriptors_with(array) == 0);
  uint64_t serial = braid_array_room(large)->segment->serial;
  write_frame((struct braid_frame){.kind = BRAID_FRAME_SEGMENT_LOST, .id = serial}, NULL, 0, -1, 0);
  while (descriptors_with(large) == 0) usleep(200);
  check(descriptors_with(array) == 0);
  check(atomic_load(&ended) == 0);
  braid_object_unref(&array->object);
  braid_object_unref(&large->object);
  end();
}

static int count_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 4096; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* Each of these ends the connection, and leaves no descriptor behind. */
static void ends_by(struct braid_frame frame, const struct wire_segment *body, size_t size, int fd, int descriptors) {
  begin(false);
  int before = count_descriptors();
  write_frame(frame, body, size, fd, descriptors);
  until(&ended, 1);
  check(near.fault != NULL);
  end();
  check(count_descriptors() <= before - 2);
}

static void bad_segments_end_the_connection(void) {
  struct braid_shm *segment = braid_shm_new(1);
  struct braid_frame frame = {.kind = BRAID_FRAME_SEGMENT, .descriptors = 1};
  struct wire_segment good = {segment->serial + 1, segment->inode, 0}, body = good;
  ends_by(frame, &good, sizeof good, -1, 0);              /* no descriptor */
  ends_by(frame, &good, sizeof good, segment->fd, 3);     /* too many */
  ends_by(frame, &good, sizeof good, segment->fd, 200);   /* far too many */
  ends_by(frame, &good, sizeof good - 1, segment->fd, 1); /* too short */
  body.inode++;
  ends_by(frame, &body, sizeof body, segment->fd, 1); /* of something else */
  body = good;
  body.place = UINT64_MAX;
  ends_by(frame, &body, sizeof body, segment->fd, 1);
  body = good;
  body.serial = 0;
  ends_by(frame, &body, sizeof body, segment->fd, 1);
  braid_shm_unref(segment);
}

/* Descriptors that no frame speaks of do not pile up. */
static void unclaimed_descriptors_are_few(void) {
  begin(false);
  int before = count_descriptors();
  struct braid_frame lost = {.kind = BRAID_FRAME_SEGMENT_LOST, .id = 1, .descriptors = 1};
  for (int i = 0; i < 500; i++) write_frame(lost, NULL, 0, 1, 1);
  struct braid_frame end_of_it = {.kind = BRAID_FRAME_REPLY, .has_message = 1};
  write_frame(end_of_it, NULL, 0, -1, 0);
  until(&refused, 1);
  check(count_descriptors() == before); /* claimed by nobody: closed */
  lost.descriptors = 0;
  for (int i = 0; i < 4; i++) write_frame(lost, NULL, 0, 1, 1);
  write_frame(lost, NULL, 0, 1, 1);
  until(&ended, 1);
  end();
  check(count_descriptors() <= before - 2);
}

CHECK_MAIN({"arrays over a connection: they arrive", arrays_arrive},
           {"arrays over a connection: lies are refused", lies_are_refused},
           {"arrays over a connection: a descriptor travels once", a_descriptor_travels_once},
           {"arrays over a connection: bad segments end the connection", bad_segments_end_the_connection},
           {"arrays over a connection: unclaimed descriptors are few", unclaimed_descriptors_are_few})
