/* SPDX-License-Identifier: MIT
 * What is to be sent stands in pieces: small frames together in one, the bytes of a message by reference. The head of a
 * frame and its body follow each other because both are put under the mutex.
 *
 * Bytecode travels once: both ends have a table of the same size, in which a code's place is told by the sender. New
 * code at a place replaces what was there at both ends, in the order of the frames. */
#include "core/process/connection.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/work/pool.h"
#include "core/memory/shm.h"

#ifndef MSG_NOSIGNAL /* then the socket is told, when it is made: SO_NOSIGPIPE */
#define MSG_NOSIGNAL 0
#endif

enum {
  PIECE = 16 * 1024,     /* room of a piece for small frames */
  BY_REFERENCE = 4096,   /* messages from here on are not copied into pieces */
  MOST_PIECES = 32,      /* in one system call */
  FIRST_IN = 64 * 1024,  /* bytes that are read at once */
  MOST_READS = 8,        /* then others have their turn */
  KEPT_IN = 1024 * 1024, /* a larger buffer is given back when it is empty */
};

#define RETRY (5 * BRAID_SECOND / 1000) /* when the system is short of something */
#define PATIENCE (2 * BRAID_SECOND)     /* then a descriptor is not sent, and what needs it fails */

struct piece {
  struct braid_list link;
  struct braid_message *message; /* whose bytes these are; NULL: our own */
  struct braid_shm *segment;     /* whose descriptor travels with the first byte, that of a head; NULL: none */
  int64_t refused;               /* since when the system does not take it; 0: it was not asked */
  size_t size, sent, room;
  char bytes[];
};

/* What a message mentions, on the wire: in front of its bytes. */
enum mention { MENTION_CODE, MENTION_NEW_CODE, MENTION_POOL, MENTION_OBJECT };

struct wire_message {
  uint64_t size; /* of its bytes, which are the last of the frame */
  uint64_t mentions;
};

struct wire_mention {
  uint32_t what; /* enum mention */
  uint32_t place;
  uint32_t upvalues;
  uint64_t size; /* of the code's bytes, which follow */
};

static const struct braid_marshal *marshal;

void braid_connection_use_marshal(const struct braid_marshal *that) { marshal = that; }

static struct braid_bytecode *code_of(struct braid_object *object) {
  return braid_container(object, struct braid_bytecode, object);
}

const char *braid_connection_refuse_object(const struct braid_object *object) {
  if (object->class == &braid_bytecode_class || object->class == &braid_pool_class) return NULL;
  return marshal ? marshal->refuse(object) : "it belongs to this process";
}

const char *braid_connection_refuse(const struct braid_message *message, const struct braid_object **which) {
  const char *why = NULL;
  for (uint32_t i = 0; i < message->object_count && !why; i++) {
    *which = message->objects[i];
    why = braid_connection_refuse_object(*which);
  }
  return why;
}

/* ---- putting: under the mutex --------------------------------------------------------------------------------- */

static struct piece *last_piece(struct braid_connection *connection) {
  return braid_list_empty(&connection->out) ? NULL : braid_container(connection->out.prev, struct piece, link);
}

static struct piece *new_piece(struct braid_connection *connection, size_t room) {
  struct piece *piece = malloc(sizeof *piece + room);
  if (!piece) return NULL;
  *piece = (struct piece){.room = room};
  braid_list_init(&piece->link);
  braid_list_push(&connection->out, &piece->link);
  return piece;
}

static void drop_piece(struct piece *piece) {
  braid_list_remove(&piece->link);
  if (piece->message) braid_message_unref(piece->message);
  if (piece->segment) braid_shm_unref(piece->segment);
  free(piece);
}

/* Room for so many bytes in one piece, whose size they count to already; NULL: memory is out. */
static char *reserve(struct braid_connection *connection, size_t size) {
  struct piece *piece = last_piece(connection);
  if (!piece || piece->message || piece->room - piece->size < size) {
    piece = new_piece(connection, size > PIECE ? size : PIECE);
    if (!piece) return NULL;
  }
  char *at = piece->bytes + piece->size;
  piece->size += size;
  connection->out_size += size;
  return at;
}

static bool append(struct braid_connection *connection, const void *bytes, size_t size) {
  if (size == 0) return true;
  char *at = reserve(connection, size);
  if (at) memcpy(at, bytes, size);
  return at != NULL;
}

static bool append_message(struct braid_connection *connection, struct braid_message *message) {
  if (message->size < BY_REFERENCE) return append(connection, message->bytes, message->size);
  struct piece *piece = new_piece(connection, 0);
  if (!piece) return false;
  braid_message_ref(message);
  piece->message = message;
  piece->size = message->size;
  connection->out_size += message->size;
  return true;
}

/* The next bytes are the first of a piece with which the segment's descriptor travels. */
static bool attach(struct braid_connection *connection, struct braid_shm *segment) {
  struct piece *piece = new_piece(connection, PIECE);
  if (!piece) return false;
  braid_shm_ref(segment);
  piece->segment = segment;
  return true;
}

static uint32_t place_of(const struct braid_bytecode *code) {
  return (uint32_t)((uintptr_t)code >> 4) * UINT32_C(0x9E3779B9) >> 24;
}

static bool append_code(struct braid_connection *connection, struct braid_bytecode *code) {
  uint32_t place = place_of(code);
  struct wire_mention mention = {MENTION_CODE, place, (uint32_t)code->upvalues, 0};
  if (connection->sent_codes[place] == code) return append(connection, &mention, sizeof mention);
  mention.what = MENTION_NEW_CODE;
  mention.size = code->size;
  if (!append(connection, &mention, sizeof mention) || !append(connection, code->bytes, code->size)) return false;
  if (connection->sent_codes[place]) braid_object_unref(&connection->sent_codes[place]->object);
  braid_object_ref(&code->object); /* so that no other can have its address */
  connection->sent_codes[place] = code;
  return true;
}

static bool append_object(struct braid_connection *connection, struct braid_object *object) {
  struct wire_mention mention = {.what = MENTION_OBJECT};
  struct braid_wire_object wire = {0};
  if (!marshal || !marshal->write(connection, object, &wire)) return false;
  return append(connection, &mention, sizeof mention) && append(connection, &wire, sizeof wire);
}

/* Pools are not the worker's to use: one stands there for all. */
static bool append_pool(struct braid_connection *connection) {
  struct wire_mention mention = {.what = MENTION_POOL};
  return append(connection, &mention, sizeof mention);
}

static bool append_mention(struct braid_connection *connection, struct braid_object *object) {
  if (object->class == &braid_bytecode_class) return append_code(connection, code_of(object));
  if (object->class == &braid_pool_class) return append_pool(connection);
  return append_object(connection, object);
}

static bool append_mentions(struct braid_connection *connection, const struct braid_message *message) {
  struct wire_message head = {message->size, message->object_count};
  if (!append(connection, &head, sizeof head)) return false;
  for (uint32_t i = 0; i < message->object_count; i++)
    if (!append_mention(connection, message->objects[i])) return false;
  return true;
}

/* Half a frame cannot stay: the connection is given up when memory is out in the middle of one. */
static bool give_up(struct braid_connection *connection) {
  connection->broken = true;
  shutdown(connection->fd, SHUT_RDWR);
  return false;
}

/* What a frame is made of, in order. */
struct content {
  const void *body;
  size_t size;
  struct braid_message *message;        /* NULL: none */
  const struct braid_queue_cell *cells; /* items */
  size_t count;
};

static bool append_whole_message(struct braid_connection *connection, struct braid_message *message) {
  return append_mentions(connection, message) && append_message(connection, message);
}

static bool append_item(struct braid_connection *connection, const struct braid_queue_cell *cell) {
  struct braid_wire_item wire = {cell->item.bits, cell->key, cell->item.tag};
  if (cell->item.tag == BRAID_ITEM_MESSAGE) wire.bits = 0;
  if (!append(connection, &wire, sizeof wire)) return false;
  return cell->item.tag != BRAID_ITEM_MESSAGE ||
         append_whole_message(connection, (struct braid_message *)(uintptr_t)cell->item.bits);
}

static bool append_content(struct braid_connection *connection, const struct content *content) {
  if (!append(connection, content->body, content->size)) return false;
  if (content->message && !append_whole_message(connection, content->message)) return false;
  for (size_t i = 0; i < content->count; i++)
    if (!append_item(connection, &content->cells[i])) return false;
  return true;
}

/* The head is written last, for it tells the size: its place is kept in a piece of its own until then. */
static bool put(struct braid_connection *connection, struct braid_frame *frame, const struct content *content) {
  char *head = reserve(connection, sizeof *frame);
  if (!head) return give_up(connection);
  size_t before = connection->out_size;
  if (!append_content(connection, content)) return give_up(connection);
  frame->magic = BRAID_FRAME_MAGIC;
  frame->size = connection->out_size - before;
  frame->has_message = content->message != NULL;
  memcpy(head, frame, sizeof *frame);
  return true;
}

/* What its objects need at the other end goes in front of the frame, in frames of its own. */
static bool prepare(struct braid_connection *connection, const struct braid_message *message) {
  for (uint32_t i = 0; message && i < message->object_count; i++) {
    struct braid_object *object = message->objects[i];
    if (object->class == &braid_bytecode_class || object->class == &braid_pool_class) continue;
    if (!marshal || !marshal->prepare(connection, object)) return give_up(connection);
  }
  return true;
}

static bool prepare_all(struct braid_connection *connection, const struct content *content) {
  if (!prepare(connection, content->message)) return false;
  for (size_t i = 0; i < content->count; i++)
    if (content->cells[i].item.tag == BRAID_ITEM_MESSAGE &&
        !prepare(connection, (const struct braid_message *)(uintptr_t)content->cells[i].item.bits))
      return false;
  return true;
}

static bool put_whole(struct braid_connection *connection, struct braid_frame *frame, const struct content *content) {
  return connection->broken || (prepare_all(connection, content) && put(connection, frame, content));
}

static bool put_in_turn(struct braid_connection *connection, struct braid_frame *frame, const struct content *content) {
  if (braid_loop_is_fork) return true; /* it is not ours */
  pthread_mutex_lock(&connection->mutex);
  bool done = put_whole(connection, frame, content);
  pthread_mutex_unlock(&connection->mutex);
  return done;
}

bool braid_connection_put(struct braid_connection *connection, struct braid_frame frame, const void *body,
                          size_t size) {
  return put_in_turn(connection, &frame, &(struct content){.body = body, .size = size});
}

bool braid_connection_put_message(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_message *message) {
  return put_in_turn(connection, &frame, &(struct content){.body = body, .size = size, .message = message});
}

bool braid_connection_put_items(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                size_t size, const struct braid_queue_cell *cells, size_t count) {
  return put_in_turn(connection, &frame, &(struct content){.body = body, .size = size, .cells = cells, .count = count});
}

bool braid_connection_put_segment(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_shm *segment) {
  frame.descriptors = 1;
  return attach(connection, segment) && put(connection, &frame, &(struct content){.body = body, .size = size});
}

/* ---- sending: under the mutex --------------------------------------------------------------------------------- */

static const char *bytes_of(const struct piece *piece) { return piece->message ? piece->message->bytes : piece->bytes; }

/* Pieces for one system call: a descriptor travels with the first. */
static int gather(struct braid_connection *connection, struct iovec *vector) {
  int count = 0;
  struct piece *first = braid_container(connection->out.next, struct piece, link);
  if (first->size == first->sent) drop_piece(first); /* it was kept, and something else came behind it */
  for (struct braid_list *at = connection->out.next; at != &connection->out && count < MOST_PIECES; at = at->next) {
    struct piece *piece = braid_container(at, struct piece, link);
    if (count > 0 && piece->segment) break;
    vector[count].iov_base = (char *)(uintptr_t)bytes_of(piece) + piece->sent;
    vector[count++].iov_len = piece->size - piece->sent;
  }
  return count;
}

static void send_away(struct braid_connection *connection, size_t sent) {
  connection->out_size -= sent;
  struct piece *first = NULL;
  while (!braid_list_empty(&connection->out)) {
    first = braid_container(connection->out.next, struct piece, link);
    size_t part = first->size - first->sent;
    if (part > sent) break;
    sent -= part;
    bool keep = first->link.next == &connection->out && !first->message && first->room == PIECE && !first->segment;
    if (keep) { /* for the next frames */
      first->size = first->sent = 0;
      return;
    }
    drop_piece(first);
    first = NULL;
  }
  if (!first) return;
  first->sent += sent;
  if (sent > 0 && first->segment) {
    braid_shm_unref(first->segment);
    first->segment = NULL;
  }
}

static ssize_t send_some(struct braid_connection *connection) {
  struct iovec vector[MOST_PIECES];
  struct msghdr head = {.msg_iov = vector};
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  head.msg_iovlen = (size_t)gather(connection, vector);
  const struct braid_shm *segment = braid_container(connection->out.next, struct piece, link)->segment;
  if (segment) {
    memset(&control, 0, sizeof control);
    head.msg_control = &control;
    head.msg_controllen = sizeof control.room;
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&head);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &segment->fd, sizeof segment->fd);
  }
  return sendmsg(connection->fd, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void drop_out(struct braid_connection *connection) {
  while (!braid_list_empty(&connection->out)) drop_piece(braid_container(connection->out.next, struct piece, link));
  connection->out_size = 0;
}

/* The system is short of something that comes back: memory, or descriptors that may be on their way (ETOOMANYREFS),
 * which others have to receive first. When that takes too long the frame goes without, and says why. */
static void bear_shortage(struct braid_connection *connection, int error) {
  struct piece *first = braid_container(connection->out.next, struct piece, link);
  int64_t now = braid_clock_now();
  if (!first->segment) return;
  if (!first->refused) first->refused = now;
  if (now - first->refused < PATIENCE) return;
  struct braid_frame frame;
  memcpy(&frame, first->bytes, sizeof frame);
  frame.descriptors = 0;
  frame.status = (uint32_t)error;
  memcpy(first->bytes, &frame, sizeof frame);
  braid_shm_unref(first->segment);
  first->segment = NULL;
}

static bool is_shortage(int error) { return error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM; }

enum progress { DONE, FULL, SHORT }; /* all is sent; the socket takes no more now; the system is short of something */

static enum progress send_all(struct braid_connection *connection) {
  while (connection->out_size > 0 && !connection->broken) {
    ssize_t sent = send_some(connection);
    if (sent > 0) {
      if (connection->full) atomic_fetch_add(&connection->signs, (unsigned long long)sent);
      send_away(connection, (size_t)sent);
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      connection->full = true;
      return FULL;
    } else if (sent < 0 && is_shortage(errno)) {
      bear_shortage(connection, errno);
      return SHORT;
    } else if (sent < 0 && errno != EINTR) {
      give_up(connection); /* whoever reads learns of it, at both ends */
    }
  }
  connection->full = false;
  if (connection->broken) drop_out(connection);
  return DONE;
}

static enum progress send_in_turn(struct braid_connection *connection) {
  if (braid_loop_is_fork) return DONE;
  pthread_mutex_lock(&connection->mutex);
  enum progress progress = send_all(connection);
  pthread_mutex_unlock(&connection->mutex);
  return progress;
}

void braid_connection_flush(struct braid_connection *connection) {
  if (send_in_turn(connection) != DONE) braid_errand_send(&connection->nudge);
}

bool braid_connection_send(struct braid_connection *connection, struct braid_frame frame,
                           struct braid_message *message) {
  if (braid_loop_is_fork) return true;
  pthread_mutex_lock(&connection->mutex);
  bool done = put_whole(connection, &frame, &(struct content){.message = message});
  enum progress progress = send_all(connection);
  pthread_mutex_unlock(&connection->mutex);
  if (progress != DONE) braid_errand_send(&connection->nudge);
  return done;
}

void braid_connection_flush_held(struct braid_connection *connection) {
  braid_connection_flush(connection);
  atomic_fetch_sub(&connection->holders, 1);
}

void braid_connection_drain(struct braid_connection *connection) {
  enum progress progress;
  while ((progress = send_in_turn(connection)) != DONE) {
    struct pollfd wait = {.fd = connection->fd, .events = POLLOUT};
    poll(&wait, progress == FULL ? 1 : 0, progress == FULL ? 1000 : (int)(RETRY * 1000 / BRAID_SECOND));
  }
}

/* The I/O thread: sends what it can, and waits for the socket to take the rest. */
static void on_nudge(struct braid_errand *errand) {
  struct braid_connection *connection = braid_container(errand, struct braid_connection, nudge);
  struct braid_loop *loop = &connection->io_thread->loop;
  enum progress progress = send_in_turn(connection);
  if (!connection->watch.events) return; /* it has ended */
  braid_watch_change(loop, &connection->watch, progress == FULL ? BRAID_BOTH : BRAID_READ);
  if (progress == SHORT && !braid_alarm_start(loop, &connection->retry, braid_clock_now() + RETRY))
    braid_watch_change(loop, &connection->watch, BRAID_BOTH); /* then at once */
}

static void on_retry(struct braid_alarm *alarm) {
  on_nudge(&braid_container(alarm, struct braid_connection, retry)->nudge);
}

/* ---- reading: the I/O thread ---------------------------------------------------------------------------------- */

/* Descriptors stand in the order of their frames. More than there can be are closed: the connection fails. */
static void keep_descriptor(struct braid_connection *connection, int descriptor) {
  if (connection->descriptor_count < BRAID_CONNECTION_DESCRIPTORS) {
    connection->descriptors[connection->descriptor_count++] = descriptor;
    return;
  }
  if (descriptor >= 0) close(descriptor);
  braid_connection_fail(connection, "descriptors came that belong to no frame");
}

/* One system call brings one at most, for the kernel does not read on behind bytes with which one travels. It may have
 * found no number for it here: then it says MSG_CTRUNC, and something has to stand for it. There is room for one header
 * only. (CMSG_NXTHDR, which would look for a second one, gives warnings in musl's headers.) */
static void keep_descriptors(struct braid_connection *connection, struct msghdr *head) {
  bool any = false;
  struct cmsghdr *first = CMSG_FIRSTHDR(head);
  if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS) {
    size_t count = (first->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(first) + i * sizeof(int), sizeof descriptor);
      keep_descriptor(connection, descriptor);
      any = true;
    }
  }
  if (!(head->msg_flags & MSG_CTRUNC)) return;
  if (any)
    braid_connection_fail(connection, "more descriptors came at once than travel with a frame");
  else
    keep_descriptor(connection, -1);
}

static ssize_t receive(struct braid_connection *connection, char *room, size_t size) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec vector = {room, size};
  struct msghdr head = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
  ssize_t got;
  do got = recvmsg(connection->fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got > 0) keep_descriptors(connection, &head);
  return got;
}

/* How many bytes to read: the rest of the frame that has begun, but no more room than twice what has really come. */
static size_t wanted(const struct braid_connection *connection) {
  struct braid_frame frame;
  if (connection->in.size < sizeof frame) return FIRST_IN;
  memcpy(&frame, connection->in.data, sizeof frame);
  size_t rest = sizeof frame + (size_t)frame.size - connection->in.size;
  size_t most = connection->in.size > FIRST_IN ? connection->in.size : FIRST_IN;
  return rest > FIRST_IN && rest < most ? rest : most;
}

void braid_connection_fail(struct braid_connection *connection, const char *why) {
  if (connection->fault) return;
  connection->fault = why;
  pthread_mutex_lock(&connection->mutex);
  give_up(connection);
  pthread_mutex_unlock(&connection->mutex);
}

static const char *fault_of(const struct braid_connection *connection, const struct braid_frame *frame) {
  if (frame->magic != BRAID_FRAME_MAGIC) return "bytes came that are no frame";
  if (frame->size > BRAID_FRAME_MOST) return "a frame is larger than any can be";
  if (frame->kind >= BRAID_FRAME_KINDS || !connection->handlers[frame->kind]) return "a frame has an unknown kind";
  return NULL;
}

/* The handler may claim the descriptors that travelled with the frame; what it leaves is closed. */
static void handle_frame(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  if (frame->descriptors > connection->descriptor_count) {
    braid_connection_fail(connection, "a frame came without its descriptor");
    return;
  }
  connection->claimable = frame->descriptors;
  connection->handlers[frame->kind](connection, frame, body);
  while (connection->claimable > 0) {
    int left = braid_connection_descriptor(connection);
    if (left >= 0) close(left);
  }
}

/* Handles the frames that are complete. */
static void handle(struct braid_connection *connection) {
  size_t at = 0;
  struct braid_frame frame;
  while (!connection->fault && connection->in.size - at >= sizeof frame) {
    memcpy(&frame, connection->in.data + at, sizeof frame);
    const char *fault = fault_of(connection, &frame);
    if (fault) {
      braid_connection_fail(connection, fault);
      break;
    }
    if (frame.size > connection->in.size - at - sizeof frame) break;
    handle_frame(connection, &frame, connection->in.data + at + sizeof frame);
    at += sizeof frame + (size_t)frame.size;
  }
  if (at > 0) memmove(connection->in.data, connection->in.data + at, connection->in.size - at);
  connection->in.size -= at;
  if (connection->in.size == 0 && connection->in.capacity > KEPT_IN) braid_buffer_term(&connection->in);
}

static void end(struct braid_connection *connection) {
  void (*ended)(struct braid_connection *) = connection->ended;
  braid_watch_stop(&connection->io_thread->loop, &connection->watch);
  connection->ended = NULL;
  if (ended) ended(connection);
}

/* Reads once, and handles what has come. False when there is no more now, or for ever. */
static bool read_some(struct braid_connection *connection, bool *full) {
  size_t want = wanted(connection);
  char *room = braid_buffer_reserve(&connection->in, want);
  ssize_t got = room ? receive(connection, room, want) : 0;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (!room && !connection->fault) {
    connection->fault = "there is no memory for what has come";
    connection->shortage = ENOMEM;
  }
  if (got <= 0) {
    end(connection);
    return false;
  }
  atomic_fetch_add(&connection->signs, (unsigned long long)got);
  connection->in.size += (size_t)got;
  *full = (size_t)got == want;
  handle(connection);
  if (connection->fault) end(connection);
  return !connection->fault;
}

void braid_connection_read_rest(struct braid_connection *connection) {
  bool full;
  while (connection->ended && read_some(connection, &full)) {
  }
}

/* Until most likely there is no more: the poller will tell. */
static void read_in_turn(struct braid_connection *connection) {
  bool full = true;
  for (int i = 0; i < MOST_READS && full; i++)
    if (!read_some(connection, &full)) return;
}

static void on_event(struct braid_watch *watch, int events) {
  struct braid_connection *connection = braid_container(watch, struct braid_connection, watch);
  if (events & BRAID_WRITE) on_nudge(&connection->nudge);
  if (events & BRAID_READ) read_in_turn(connection);
}

/* ---- messages that come --------------------------------------------------------------------------------------- */

struct reader {
  struct braid_connection *connection;
  const char *at, *end;
};

static bool take(struct reader *reader, void *bytes, size_t size) {
  if ((size_t)(reader->end - reader->at) < size) return false;
  memcpy(bytes, reader->at, size);
  reader->at += size;
  return true;
}

/* Should memory be out nothing is at its place, so that never the wrong code is run. */
static bool learn_code(struct reader *reader, const struct wire_mention *mention, struct braid_bytecode **known) {
  if ((size_t)(reader->end - reader->at) < mention->size) return false;
  if (*known) braid_object_unref(&(*known)->object);
  *known = braid_bytecode_new(reader->at, mention->size, (int)mention->upvalues);
  if (*known) braid_object_share(&(*known)->object);
  reader->at += mention->size;
  return *known != NULL;
}

static struct braid_object *read_code(struct reader *reader, const struct wire_mention *mention) {
  if (mention->place >= BRAID_CONNECTION_CODES || mention->what > MENTION_NEW_CODE) return NULL;
  struct braid_bytecode **known = &reader->connection->known_codes[mention->place];
  if (mention->what == MENTION_NEW_CODE && !learn_code(reader, mention, known)) return NULL;
  if (!*known) return NULL;
  braid_object_ref(&(*known)->object);
  return &(*known)->object;
}

/* With a reference; NULL: errno tells. */
static struct braid_object *read_mention(struct reader *reader) {
  struct wire_mention mention;
  struct braid_wire_object wire;
  errno = EBADMSG;
  if (!take(reader, &mention, sizeof mention)) return NULL;
  if (mention.what == MENTION_POOL) return &braid_pool_elsewhere()->object;
  if (mention.what != MENTION_OBJECT) return read_code(reader, &mention);
  if (!take(reader, &wire, sizeof wire) || !marshal) return NULL;
  return marshal->read(reader->connection, &wire);
}

/* All of them are read, so that both ends know the same afterwards, though the system may refuse some of it. The count
 * of those that we have, and the reason why we do not have all. */
static uint32_t read_mentions(struct reader *reader, uint64_t mentions, struct braid_object **objects, int *error) {
  uint32_t count = 0;
  for (uint64_t i = 0; i < mentions && *error != EBADMSG; i++) {
    struct braid_object *object = read_mention(reader);
    if (object && objects)
      objects[count++] = object;
    else if (object)
      braid_object_unref(object);
    else
      *error = errno;
  }
  return count;
}

/* NULL when something is wrong. */
static struct braid_message *read_message(struct reader *reader) {
  struct wire_message head;
  struct braid_message *message = NULL;
  errno = EBADMSG;
  if (!take(reader, &head, sizeof head)) return NULL;
  if (head.mentions > (size_t)(reader->end - reader->at) / sizeof(struct wire_mention)) return NULL;
  struct braid_object **objects = calloc((size_t)head.mentions + 1, sizeof *objects);
  int error = objects ? 0 : ENOMEM;
  uint32_t count = read_mentions(reader, head.mentions, objects, &error);
  if (error != EBADMSG && head.size > (size_t)(reader->end - reader->at)) error = EBADMSG;
  if (!error) {
    message = braid_message_new(reader->at, (size_t)head.size, objects, count);
    error = ENOMEM;
  }
  if (error != EBADMSG) reader->at += head.size;
  for (uint32_t i = 0; i < count; i++) braid_object_unref(objects[i]);
  free(objects);
  errno = error;
  return message;
}

struct braid_message *braid_connection_message(struct braid_connection *connection, const struct braid_frame *frame,
                                               const char *body, size_t skip) {
  errno = EBADMSG;
  if (skip > frame->size) return NULL;
  struct reader reader = {connection, body + skip, body + frame->size};
  struct braid_message *message = read_message(&reader);
  if (!message || reader.at == reader.end) return message;
  braid_message_unref(message);
  errno = EBADMSG;
  return NULL;
}

/* False: it is not sound. */
static bool read_item(struct reader *reader, struct braid_queue_cell *cell) {
  struct braid_wire_item wire;
  if (!take(reader, &wire, sizeof wire)) return false;
  if (wire.tag > BRAID_ITEM_MESSAGE || wire.tag == BRAID_ITEM_REFERENCE) return false;
  *cell = (struct braid_queue_cell){.item = {wire.bits, (uint8_t)wire.tag}, .key = wire.key};
  if (wire.tag != BRAID_ITEM_MESSAGE) return true;
  struct braid_message *message = read_message(reader);
  cell->item.bits = (uint64_t)(uintptr_t)message;
  if (message) return true;
  cell->item = (struct braid_item){(uint64_t)errno, BRAID_ITEM_NONE};
  return errno != EBADMSG;
}

bool braid_connection_items(struct braid_connection *connection, const struct braid_frame *frame, const char *body,
                            size_t skip, struct braid_queue_cell *cells, size_t count) {
  struct reader reader = {connection, body + skip, body + frame->size};
  size_t read = 0;
  if (skip > frame->size) reader.at = reader.end;
  while (read < count && read_item(&reader, &cells[read])) read++;
  if (read == count && reader.at == reader.end) return true;
  while (read > 0) braid_item_drop(cells[--read].item);
  braid_connection_fail(connection, "an item is not sound");
  return false;
}

int braid_connection_descriptor(struct braid_connection *connection) {
  if (connection->claimable == 0) return -1;
  int first = connection->descriptors[0];
  connection->claimable--;
  memmove(connection->descriptors, connection->descriptors + 1, --connection->descriptor_count * sizeof first);
  return first;
}

/* ---- the beginning and the end -------------------------------------------------------------------------------- */

void braid_connection_handle(struct braid_connection *connection, unsigned kind, braid_connection_handler *handler) {
  connection->handlers[kind] = handler;
}

int braid_connection_open(struct braid_connection *connection, struct braid_io_thread *io_thread, int fd) {
  memset(connection->sent_codes, 0, sizeof connection->sent_codes);
  memset(connection->known_codes, 0, sizeof connection->known_codes);
  connection->io_thread = io_thread;
  connection->objects = NULL;
  connection->out_size = 0;
  connection->broken = connection->full = false;
  connection->fault = NULL;
  connection->descriptor_count = connection->claimable = 0;
  atomic_init(&connection->signs, 0);
  atomic_init(&connection->holders, 0);
  connection->watch = (struct braid_watch){.fire = on_event};
  connection->retry = (struct braid_alarm){.fire = on_retry};
  connection->shortage = 0;
  braid_list_init(&connection->out);
  braid_buffer_init(&connection->in);
  braid_errand_init(&connection->nudge, io_thread, on_nudge);
  if (marshal && !marshal->begin(connection)) return ENOMEM;
  connection->fd = fd;
  int error = braid_watch_start(&io_thread->loop, &connection->watch, fd, BRAID_READ);
  if (!error) {
    pthread_mutex_init(&connection->mutex, NULL);
    return 0;
  }
  if (marshal) marshal->end(connection);
  connection->fd = -1;
  return error;
}

static void drop_codes(struct braid_bytecode **codes) {
  for (int i = 0; i < BRAID_CONNECTION_CODES; i++)
    if (codes[i]) braid_object_unref(&codes[i]->object);
}

void braid_connection_close(struct braid_connection *connection) {
  braid_watch_stop(&connection->io_thread->loop, &connection->watch);
  braid_alarm_stop(&connection->io_thread->loop, &connection->retry);
  if (marshal) marshal->end(connection);
  while (atomic_load(&connection->holders) > 0) sched_yield(); /* for one system call, which does not block */
  braid_errand_recall(&connection->nudge);
  drop_out(connection);
  braid_buffer_term(&connection->in);
  drop_codes(connection->sent_codes);
  drop_codes(connection->known_codes);
  for (unsigned i = 0; i < connection->descriptor_count; i++)
    if (connection->descriptors[i] >= 0) close(connection->descriptors[i]);
  close(connection->fd);
  connection->fd = -1;
  pthread_mutex_destroy(&connection->mutex);
}
