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
  struct braid_segment *segment; /* whose descriptor travels with the first byte, that of a head; NULL: none */
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

static const struct braid_passport *passport;

void braid_link_use_passport(const struct braid_passport *that) { passport = that; }

static struct braid_code *code_of(struct braid_object *object) {
  return braid_container(object, struct braid_code, object);
}

const char *braid_link_refuse_object(const struct braid_object *object) {
  if (object->class == &braid_code_class || object->class == &braid_pool_class) return NULL;
  return passport ? passport->refuse(object) : "it belongs to this process";
}

const char *braid_link_refuse(const struct braid_message *message, const struct braid_object **which) {
  const char *why = NULL;
  for (uint32_t i = 0; i < message->object_count && !why; i++) {
    *which = message->objects[i];
    why = braid_link_refuse_object(*which);
  }
  return why;
}

/* ---- putting: under the mutex --------------------------------------------------------------------------------- */

static struct piece *last_piece(struct braid_link *link) {
  return braid_list_empty(&link->out) ? NULL : braid_container(link->out.prev, struct piece, link);
}

static struct piece *new_piece(struct braid_link *link, size_t room) {
  struct piece *piece = malloc(sizeof *piece + room);
  if (!piece) return NULL;
  *piece = (struct piece){.room = room};
  braid_list_init(&piece->link);
  braid_list_push(&link->out, &piece->link);
  return piece;
}

static void drop_piece(struct piece *piece) {
  braid_list_remove(&piece->link);
  if (piece->message) braid_message_unref(piece->message);
  if (piece->segment) braid_segment_unref(piece->segment);
  free(piece);
}

/* Room for so many bytes in one piece, whose size they count to already; NULL: memory is out. */
static char *reserve(struct braid_link *link, size_t size) {
  struct piece *piece = last_piece(link);
  if (!piece || piece->message || piece->room - piece->size < size) {
    piece = new_piece(link, size > PIECE ? size : PIECE);
    if (!piece) return NULL;
  }
  char *at = piece->bytes + piece->size;
  piece->size += size;
  link->out_size += size;
  return at;
}

static bool append(struct braid_link *link, const void *bytes, size_t size) {
  if (size == 0) return true;
  char *at = reserve(link, size);
  if (at) memcpy(at, bytes, size);
  return at != NULL;
}

static bool append_message(struct braid_link *link, struct braid_message *message) {
  if (message->size < BY_REFERENCE) return append(link, message->bytes, message->size);
  struct piece *piece = new_piece(link, 0);
  if (!piece) return false;
  braid_message_ref(message);
  piece->message = message;
  piece->size = message->size;
  link->out_size += message->size;
  return true;
}

/* The next bytes are the first of a piece with which the segment's descriptor travels. */
static bool attach(struct braid_link *link, struct braid_segment *segment) {
  struct piece *piece = new_piece(link, PIECE);
  if (!piece) return false;
  braid_segment_ref(segment);
  piece->segment = segment;
  return true;
}

static uint32_t place_of(const struct braid_code *code) {
  return (uint32_t)((uintptr_t)code >> 4) * UINT32_C(0x9E3779B9) >> 24;
}

static bool append_code(struct braid_link *link, struct braid_code *code) {
  uint32_t place = place_of(code);
  struct wire_mention mention = {MENTION_CODE, place, (uint32_t)code->upvalues, 0};
  if (link->sent_codes[place] == code) return append(link, &mention, sizeof mention);
  mention.what = MENTION_NEW_CODE;
  mention.size = code->size;
  if (!append(link, &mention, sizeof mention) || !append(link, code->bytes, code->size)) return false;
  if (link->sent_codes[place]) braid_object_unref(&link->sent_codes[place]->object);
  braid_object_ref(&code->object); /* so that no other can have its address */
  link->sent_codes[place] = code;
  return true;
}

static bool append_object(struct braid_link *link, struct braid_object *object) {
  struct wire_mention mention = {.what = MENTION_OBJECT};
  struct braid_wire_object wire = {0};
  if (!passport || !passport->write(link, object, &wire)) return false;
  return append(link, &mention, sizeof mention) && append(link, &wire, sizeof wire);
}

/* Pools are not the worker's to use: one stands there for all. */
static bool append_pool(struct braid_link *link) {
  struct wire_mention mention = {.what = MENTION_POOL};
  return append(link, &mention, sizeof mention);
}

static bool append_mention(struct braid_link *link, struct braid_object *object) {
  if (object->class == &braid_code_class) return append_code(link, code_of(object));
  if (object->class == &braid_pool_class) return append_pool(link);
  return append_object(link, object);
}

static bool append_mentions(struct braid_link *link, const struct braid_message *message) {
  struct wire_message head = {message->size, message->object_count};
  if (!append(link, &head, sizeof head)) return false;
  for (uint32_t i = 0; i < message->object_count; i++)
    if (!append_mention(link, message->objects[i])) return false;
  return true;
}

/* Half a frame cannot stay: the connection is given up when memory is out in the middle of one. */
static bool give_up(struct braid_link *link) {
  link->broken = true;
  shutdown(link->fd, SHUT_RDWR);
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

static bool append_whole_message(struct braid_link *link, struct braid_message *message) {
  return append_mentions(link, message) && append_message(link, message);
}

static bool append_item(struct braid_link *link, const struct braid_queue_cell *cell) {
  struct braid_wire_item wire = {cell->item.bits, cell->key, cell->item.tag};
  if (cell->item.tag == BRAID_ITEM_MESSAGE) wire.bits = 0;
  if (!append(link, &wire, sizeof wire)) return false;
  return cell->item.tag != BRAID_ITEM_MESSAGE ||
         append_whole_message(link, (struct braid_message *)(uintptr_t)cell->item.bits);
}

static bool append_content(struct braid_link *link, const struct content *content) {
  if (!append(link, content->body, content->size)) return false;
  if (content->message && !append_whole_message(link, content->message)) return false;
  for (size_t i = 0; i < content->count; i++)
    if (!append_item(link, &content->cells[i])) return false;
  return true;
}

/* The head is written last, for it tells the size: its place is kept in a piece of its own until then. */
static bool put(struct braid_link *link, struct braid_frame *frame, const struct content *content) {
  char *head = reserve(link, sizeof *frame);
  if (!head) return give_up(link);
  size_t before = link->out_size;
  if (!append_content(link, content)) return give_up(link);
  frame->magic = BRAID_FRAME_MAGIC;
  frame->size = link->out_size - before;
  frame->has_message = content->message != NULL;
  memcpy(head, frame, sizeof *frame);
  return true;
}

/* What its objects need at the other end goes in front of the frame, in frames of its own. */
static bool prepare(struct braid_link *link, const struct braid_message *message) {
  for (uint32_t i = 0; message && i < message->object_count; i++) {
    struct braid_object *object = message->objects[i];
    if (object->class == &braid_code_class || object->class == &braid_pool_class) continue;
    if (!passport || !passport->prepare(link, object)) return give_up(link);
  }
  return true;
}

static bool prepare_all(struct braid_link *link, const struct content *content) {
  if (!prepare(link, content->message)) return false;
  for (size_t i = 0; i < content->count; i++)
    if (content->cells[i].item.tag == BRAID_ITEM_MESSAGE &&
        !prepare(link, (const struct braid_message *)(uintptr_t)content->cells[i].item.bits))
      return false;
  return true;
}

static bool put_in_turn(struct braid_link *link, struct braid_frame *frame, const struct content *content) {
  if (braid_loop_is_fork) return true; /* it is not ours */
  pthread_mutex_lock(&link->mutex);
  bool done = link->broken || (prepare_all(link, content) && put(link, frame, content));
  pthread_mutex_unlock(&link->mutex);
  return done;
}

bool braid_link_put(struct braid_link *link, struct braid_frame frame, const void *body, size_t size) {
  return put_in_turn(link, &frame, &(struct content){.body = body, .size = size});
}

bool braid_link_put_message(struct braid_link *link, struct braid_frame frame, const void *body, size_t size,
                            struct braid_message *message) {
  return put_in_turn(link, &frame, &(struct content){.body = body, .size = size, .message = message});
}

bool braid_link_put_items(struct braid_link *link, struct braid_frame frame, const void *body, size_t size,
                          const struct braid_queue_cell *cells, size_t count) {
  return put_in_turn(link, &frame, &(struct content){.body = body, .size = size, .cells = cells, .count = count});
}

bool braid_link_put_segment(struct braid_link *link, struct braid_frame frame, const void *body, size_t size,
                            struct braid_segment *segment) {
  frame.descriptors = 1;
  return attach(link, segment) && put(link, &frame, &(struct content){.body = body, .size = size});
}

/* ---- sending: under the mutex --------------------------------------------------------------------------------- */

static const char *bytes_of(const struct piece *piece) { return piece->message ? piece->message->bytes : piece->bytes; }

/* Pieces for one system call: a descriptor travels with the first. */
static int gather(struct braid_link *link, struct iovec *vector) {
  int count = 0;
  struct piece *first = braid_container(link->out.next, struct piece, link);
  if (first->size == first->sent) drop_piece(first); /* it was kept, and something else came behind it */
  for (struct braid_list *at = link->out.next; at != &link->out && count < MOST_PIECES; at = at->next) {
    struct piece *piece = braid_container(at, struct piece, link);
    if (count > 0 && piece->segment) break;
    vector[count].iov_base = (char *)(uintptr_t)bytes_of(piece) + piece->sent;
    vector[count++].iov_len = piece->size - piece->sent;
  }
  return count;
}

static void send_away(struct braid_link *link, size_t sent) {
  link->out_size -= sent;
  struct piece *first = NULL;
  while (!braid_list_empty(&link->out)) {
    first = braid_container(link->out.next, struct piece, link);
    size_t part = first->size - first->sent;
    if (part > sent) break;
    sent -= part;
    bool keep = first->link.next == &link->out && !first->message && first->room == PIECE && !first->segment;
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
    braid_segment_unref(first->segment);
    first->segment = NULL;
  }
}

static ssize_t send_some(struct braid_link *link) {
  struct iovec vector[MOST_PIECES];
  struct msghdr head = {.msg_iov = vector};
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  head.msg_iovlen = (size_t)gather(link, vector);
  const struct braid_segment *segment = braid_container(link->out.next, struct piece, link)->segment;
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
  return sendmsg(link->fd, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void drop_out(struct braid_link *link) {
  while (!braid_list_empty(&link->out)) drop_piece(braid_container(link->out.next, struct piece, link));
  link->out_size = 0;
}

/* The system is short of something that comes back: memory, or descriptors that may be on their way (ETOOMANYREFS),
 * which others have to receive first. When that takes too long the frame goes without, and says why. */
static void bear_shortage(struct braid_link *link, int error) {
  struct piece *first = braid_container(link->out.next, struct piece, link);
  int64_t now = braid_clock_now();
  if (!first->segment) return;
  if (!first->refused) first->refused = now;
  if (now - first->refused < PATIENCE) return;
  struct braid_frame frame;
  memcpy(&frame, first->bytes, sizeof frame);
  frame.descriptors = 0;
  frame.status = (uint32_t)error;
  memcpy(first->bytes, &frame, sizeof frame);
  braid_segment_unref(first->segment);
  first->segment = NULL;
}

static bool is_shortage(int error) { return error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM; }

enum progress { DONE, FULL, SHORT }; /* all is sent; the socket takes no more now; the system is short of something */

static enum progress send_all(struct braid_link *link) {
  while (link->out_size > 0 && !link->broken) {
    ssize_t sent = send_some(link);
    if (sent > 0) {
      if (link->full) atomic_fetch_add(&link->signs, (unsigned long long)sent);
      send_away(link, (size_t)sent);
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      link->full = true;
      return FULL;
    } else if (sent < 0 && is_shortage(errno)) {
      bear_shortage(link, errno);
      return SHORT;
    } else if (sent < 0 && errno != EINTR) {
      give_up(link); /* whoever reads learns of it, at both ends */
    }
  }
  link->full = false;
  if (link->broken) drop_out(link);
  return DONE;
}

static enum progress send_in_turn(struct braid_link *link) {
  if (braid_loop_is_fork) return DONE;
  pthread_mutex_lock(&link->mutex);
  enum progress progress = send_all(link);
  pthread_mutex_unlock(&link->mutex);
  return progress;
}

void braid_link_flush(struct braid_link *link) {
  if (send_in_turn(link) != DONE) braid_errand_send(&link->nudge);
}

void braid_link_hold(struct braid_link *link) { atomic_fetch_add(&link->holders, 1); }

void braid_link_flush_held(struct braid_link *link) {
  braid_link_flush(link);
  atomic_fetch_sub(&link->holders, 1);
}

void braid_link_drain(struct braid_link *link) {
  enum progress progress;
  while ((progress = send_in_turn(link)) != DONE) {
    struct pollfd wait = {.fd = link->fd, .events = POLLOUT};
    poll(&wait, progress == FULL ? 1 : 0, progress == FULL ? 1000 : (int)(RETRY * 1000 / BRAID_SECOND));
  }
}

/* The broker's thread: sends what it can, and waits for the socket to take the rest. */
static void on_nudge(struct braid_errand *errand) {
  struct braid_link *link = braid_container(errand, struct braid_link, nudge);
  struct braid_loop *loop = &link->broker->loop;
  enum progress progress = send_in_turn(link);
  if (!link->watch.events) return; /* it has ended */
  braid_watch_change(loop, &link->watch, progress == FULL ? BRAID_BOTH : BRAID_READ);
  if (progress == SHORT && !braid_alarm_start(loop, &link->retry, braid_clock_now() + RETRY))
    braid_watch_change(loop, &link->watch, BRAID_BOTH); /* then at once */
}

static void on_retry(struct braid_alarm *alarm) { on_nudge(&braid_container(alarm, struct braid_link, retry)->nudge); }

/* ---- reading: the broker's thread ----------------------------------------------------------------------------- */

/* Descriptors stand in the order of their frames. More than there can be are closed: the link fails. */
static void keep_descriptor(struct braid_link *link, int descriptor) {
  if (link->descriptor_count < BRAID_LINK_DESCRIPTORS) {
    link->descriptors[link->descriptor_count++] = descriptor;
    return;
  }
  if (descriptor >= 0) close(descriptor);
  braid_link_fail(link, "descriptors came that belong to no frame");
}

/* One system call brings one at most, for the kernel does not read on behind bytes with which one travels. It may have
 * found no number for it here: then it says MSG_CTRUNC, and something has to stand for it. */
static void keep_descriptors(struct braid_link *link, struct msghdr *head) {
  bool any = false;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(head); at; at = CMSG_NXTHDR(head, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(at) + i * sizeof(int), sizeof descriptor);
      keep_descriptor(link, descriptor);
      any = true;
    }
  }
  if (!(head->msg_flags & MSG_CTRUNC)) return;
  if (any)
    braid_link_fail(link, "more descriptors came at once than travel with a frame");
  else
    keep_descriptor(link, -1);
}

static ssize_t receive(struct braid_link *link, char *room, size_t size) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec vector = {room, size};
  struct msghdr head = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
  ssize_t got;
  do got = recvmsg(link->fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got > 0) keep_descriptors(link, &head);
  return got;
}

/* How many bytes to read: the rest of the frame that has begun, but no more room than twice what has really come. */
static size_t wanted(const struct braid_link *link) {
  struct braid_frame frame;
  if (link->in.size < sizeof frame) return FIRST_IN;
  memcpy(&frame, link->in.data, sizeof frame);
  size_t rest = sizeof frame + (size_t)frame.size - link->in.size;
  size_t most = link->in.size > FIRST_IN ? link->in.size : FIRST_IN;
  return rest > FIRST_IN && rest < most ? rest : most;
}

void braid_link_fail(struct braid_link *link, const char *why) {
  if (link->fault) return;
  link->fault = why;
  pthread_mutex_lock(&link->mutex);
  give_up(link);
  pthread_mutex_unlock(&link->mutex);
}

static const char *fault_of(const struct braid_link *link, const struct braid_frame *frame) {
  if (frame->magic != BRAID_FRAME_MAGIC) return "bytes came that are no frame";
  if (frame->size > BRAID_FRAME_MOST) return "a frame is larger than any can be";
  if (frame->kind >= BRAID_FRAME_KINDS || !link->handlers[frame->kind]) return "a frame has an unknown kind";
  return NULL;
}

/* The handler may claim the descriptors that travelled with the frame; what it leaves is closed. */
static void handle_frame(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  if (frame->descriptors > link->descriptor_count) {
    braid_link_fail(link, "a frame came without its descriptor");
    return;
  }
  link->claimable = frame->descriptors;
  link->handlers[frame->kind](link, frame, body);
  while (link->claimable > 0) {
    int left = braid_link_descriptor(link);
    if (left >= 0) close(left);
  }
}

/* Handles the frames that are complete. */
static void handle(struct braid_link *link) {
  size_t at = 0;
  struct braid_frame frame;
  while (!link->fault && link->in.size - at >= sizeof frame) {
    memcpy(&frame, link->in.data + at, sizeof frame);
    const char *fault = fault_of(link, &frame);
    if (fault) {
      braid_link_fail(link, fault);
      break;
    }
    if (frame.size > link->in.size - at - sizeof frame) break;
    handle_frame(link, &frame, link->in.data + at + sizeof frame);
    at += sizeof frame + (size_t)frame.size;
  }
  if (at > 0) memmove(link->in.data, link->in.data + at, link->in.size - at);
  link->in.size -= at;
  if (link->in.size == 0 && link->in.capacity > KEPT_IN) braid_buffer_term(&link->in);
}

static void end(struct braid_link *link) {
  void (*ended)(struct braid_link *) = link->ended;
  braid_watch_stop(&link->broker->loop, &link->watch);
  link->ended = NULL;
  if (ended) ended(link);
}

/* Reads once, and handles what has come. False when there is no more now, or for ever. */
static bool read_some(struct braid_link *link, bool *full) {
  size_t want = wanted(link);
  char *room = braid_buffer_reserve(&link->in, want);
  ssize_t got = room ? receive(link, room, want) : 0;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (!room && !link->fault) {
    link->fault = "there is no memory for what has come";
    link->shortage = ENOMEM;
  }
  if (got <= 0) {
    end(link);
    return false;
  }
  atomic_fetch_add(&link->signs, (unsigned long long)got);
  link->in.size += (size_t)got;
  *full = (size_t)got == want;
  handle(link);
  if (link->fault) end(link);
  return !link->fault;
}

void braid_link_read_rest(struct braid_link *link) {
  bool full;
  while (link->ended && read_some(link, &full)) {
  }
}

/* Until most likely there is no more: the poller will tell. */
static void read_in_turn(struct braid_link *link) {
  bool full = true;
  for (int i = 0; i < MOST_READS && full; i++)
    if (!read_some(link, &full)) return;
}

static void on_event(struct braid_watch *watch, int events) {
  struct braid_link *link = braid_container(watch, struct braid_link, watch);
  if (events & BRAID_WRITE) on_nudge(&link->nudge);
  if (events & BRAID_READ) read_in_turn(link);
}

/* ---- messages that come --------------------------------------------------------------------------------------- */

struct reader {
  struct braid_link *link;
  const char *at, *end;
};

static bool take(struct reader *reader, void *bytes, size_t size) {
  if ((size_t)(reader->end - reader->at) < size) return false;
  memcpy(bytes, reader->at, size);
  reader->at += size;
  return true;
}

/* Should memory be out nothing is at its place, so that never the wrong code is run. */
static bool learn_code(struct reader *reader, const struct wire_mention *mention, struct braid_code **known) {
  if ((size_t)(reader->end - reader->at) < mention->size) return false;
  if (*known) braid_object_unref(&(*known)->object);
  *known = braid_code_new(reader->at, mention->size, (int)mention->upvalues);
  if (*known) braid_object_share(&(*known)->object);
  reader->at += mention->size;
  return *known != NULL;
}

static struct braid_object *read_code(struct reader *reader, const struct wire_mention *mention) {
  if (mention->place >= BRAID_LINK_CODES || mention->what > MENTION_NEW_CODE) return NULL;
  struct braid_code **known = &reader->link->known_codes[mention->place];
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
  if (!take(reader, &wire, sizeof wire) || !passport) return NULL;
  return passport->read(reader->link, &wire);
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

struct braid_message *braid_link_message(struct braid_link *link, const struct braid_frame *frame, const char *body,
                                         size_t skip) {
  errno = EBADMSG;
  if (skip > frame->size) return NULL;
  struct reader reader = {link, body + skip, body + frame->size};
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

bool braid_link_items(struct braid_link *link, const struct braid_frame *frame, const char *body, size_t skip,
                      struct braid_queue_cell *cells, size_t count) {
  struct reader reader = {link, body + skip, body + frame->size};
  size_t read = 0;
  if (skip > frame->size) reader.at = reader.end;
  while (read < count && read_item(&reader, &cells[read])) read++;
  if (read == count && reader.at == reader.end) return true;
  while (read > 0) braid_item_drop(cells[--read].item);
  braid_link_fail(link, "an item is not sound");
  return false;
}

int braid_link_descriptor(struct braid_link *link) {
  if (link->claimable == 0) return -1;
  int first = link->descriptors[0];
  link->claimable--;
  memmove(link->descriptors, link->descriptors + 1, --link->descriptor_count * sizeof first);
  return first;
}

/* ---- the beginning and the end -------------------------------------------------------------------------------- */

void braid_link_handle(struct braid_link *link, unsigned kind, braid_link_handler *handler) {
  link->handlers[kind] = handler;
}

int braid_link_open(struct braid_link *link, struct braid_broker *broker, int fd) {
  memset(link->sent_codes, 0, sizeof link->sent_codes);
  memset(link->known_codes, 0, sizeof link->known_codes);
  link->broker = broker;
  link->objects = NULL;
  link->out_size = 0;
  link->broken = link->full = false;
  link->fault = NULL;
  link->descriptor_count = link->claimable = 0;
  atomic_init(&link->signs, 0);
  atomic_init(&link->holders, 0);
  link->watch = (struct braid_watch){.fire = on_event};
  link->retry = (struct braid_alarm){.fire = on_retry};
  link->shortage = 0;
  braid_list_init(&link->out);
  braid_buffer_init(&link->in);
  braid_errand_init(&link->nudge, broker, on_nudge);
  if (passport && !passport->begin(link)) return ENOMEM;
  link->fd = fd;
  int error = braid_watch_start(&broker->loop, &link->watch, fd, BRAID_READ);
  if (!error) {
    pthread_mutex_init(&link->mutex, NULL);
    return 0;
  }
  if (passport) passport->end(link);
  link->fd = -1;
  return error;
}

static void drop_codes(struct braid_code **codes) {
  for (int i = 0; i < BRAID_LINK_CODES; i++)
    if (codes[i]) braid_object_unref(&codes[i]->object);
}

void braid_link_close(struct braid_link *link) {
  braid_watch_stop(&link->broker->loop, &link->watch);
  braid_alarm_stop(&link->broker->loop, &link->retry);
  if (passport) passport->end(link);
  while (atomic_load(&link->holders) > 0) sched_yield(); /* for one system call, which does not block */
  braid_errand_recall(&link->nudge);
  drop_out(link);
  braid_buffer_term(&link->in);
  drop_codes(link->sent_codes);
  drop_codes(link->known_codes);
  for (unsigned i = 0; i < link->descriptor_count; i++)
    if (link->descriptors[i] >= 0) close(link->descriptors[i]);
  close(link->fd);
  link->fd = -1;
  pthread_mutex_destroy(&link->mutex);
}
