/* SPDX-License-Identifier: MIT
 * The bytes to send are in a list of pieces. Small frames share a piece; a large message is a piece that refers to
 * it. */
#include "core/process/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base/clock.h"
#include "core/process/frame.h"

#ifndef MSG_NOSIGNAL /* then the socket has SO_NOSIGPIPE since it was made */
#define MSG_NOSIGNAL 0
#endif

enum {
  PIECE = 16 * 1024,   /* bytes of a piece for small frames */
  BY_REFERENCE = 4096, /* bytes from which a message is not copied */
  MOST_PIECES = 32     /* of one system call */
};

#define PATIENCE (2 * BRAID_SECOND) /* then the descriptor is left out, and what needs it fails */

void braid_outbox_init(struct braid_outbox *outbox) {
  braid_list_init(&outbox->pieces);
  outbox->size = 0;
}

/* ---- put ------------------------------------------------------------------------------------------------------ */

static struct braid_piece *new_piece(struct braid_outbox *outbox, size_t room) {
  struct braid_piece *piece = malloc(sizeof *piece + room);
  if (!piece) return NULL;
  *piece = (struct braid_piece){.room = room};
  braid_list_init(&piece->link);
  braid_list_push(&outbox->pieces, &piece->link);
  return piece;
}

static void drop_piece(struct braid_piece *piece) {
  braid_list_remove(&piece->link);
  if (piece->message) braid_message_unref(piece->message);
  if (piece->segment) braid_shm_unref(piece->segment);
  free(piece);
}

bool braid_outbox_extend(struct braid_outbox *outbox, size_t size) {
  return new_piece(outbox, size > PIECE ? size : PIECE) != NULL;
}

bool braid_outbox_append_message(struct braid_outbox *outbox, struct braid_message *message) {
  if (message->size < BY_REFERENCE) return braid_outbox_append(outbox, message->bytes, message->size);
  struct braid_piece *piece = new_piece(outbox, 0);
  if (!piece) return false;
  braid_message_ref(message);
  piece->message = message;
  piece->size = message->size;
  outbox->size += message->size;
  return true;
}

bool braid_outbox_attach(struct braid_outbox *outbox, struct braid_shm *segment) {
  struct braid_piece *piece = new_piece(outbox, PIECE);
  if (!piece) return false;
  braid_shm_ref(segment);
  piece->segment = segment;
  return true;
}

/* ---- send ----------------------------------------------------------------------------------------------------- */

static const char *bytes_of(const struct braid_piece *piece) {
  return piece->message ? piece->message->bytes : piece->bytes;
}

/* Collects pieces for one system call. Only the first one may have a descriptor. */
static int gather(struct braid_outbox *outbox, struct iovec *vector) {
  int count = 0;
  struct braid_piece *first = braid_container(outbox->pieces.next, struct braid_piece, link);
  if (first->size == first->sent) drop_piece(first); /* it was kept empty, and another piece follows it */
  for (struct braid_list *at = outbox->pieces.next; at != &outbox->pieces && count < MOST_PIECES; at = at->next) {
    struct braid_piece *piece = braid_container(at, struct braid_piece, link);
    if (count > 0 && piece->segment) break;
    vector[count].iov_base = (char *)(uintptr_t)bytes_of(piece) + piece->sent;
    vector[count++].iov_len = piece->size - piece->sent;
  }
  return count;
}

static void send_away(struct braid_outbox *outbox, size_t sent) {
  outbox->size -= sent;
  struct braid_piece *first = NULL;
  while (!braid_list_empty(&outbox->pieces)) {
    first = braid_container(outbox->pieces.next, struct braid_piece, link);
    size_t part = first->size - first->sent;
    if (part > sent) break;
    sent -= part;
    bool keep = first->link.next == &outbox->pieces && !first->message && first->room == PIECE && !first->segment;
    if (keep) { /* keeps it for the next frames */
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

/* One system call: sends the vectors, and with the first byte the segment's descriptor (NULL: none). */
static ssize_t send_vector(int fd, struct iovec *vector, int count, const struct braid_shm *segment) {
  struct msghdr head = {.msg_iov = vector, .msg_iovlen = (size_t)count};
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
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
  return sendmsg(fd, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static struct braid_piece *first_of(const struct braid_outbox *outbox) {
  return braid_container(outbox->pieces.next, struct braid_piece, link);
}

ssize_t braid_outbox_send(struct braid_outbox *outbox, int fd) {
  struct iovec vector[MOST_PIECES];
  int count = gather(outbox, vector);
  ssize_t sent = send_vector(fd, vector, count, first_of(outbox)->segment);
  if (sent > 0) send_away(outbox, (size_t)sent);
  return sent;
}

/* A call takes the descriptor to the other side before the bytes that it belongs to. */
static bool send_descriptor(struct braid_piece *piece, int fd) {
  unsigned char call = BRAID_PIPE_CALL;
  struct iovec vector = {&call, sizeof call};
  if (send_vector(fd, &vector, 1, piece->segment) < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) errno = ENOBUFS; /* full of calls: nobody says when it is not */
    return false;
  }
  braid_shm_unref(piece->segment);
  piece->segment = NULL;
  return true;
}

ssize_t braid_outbox_pour(struct braid_outbox *outbox, int fd, struct braid_pipe_end *pipe) {
  if (first_of(outbox)->size == first_of(outbox)->sent) drop_piece(first_of(outbox)); /* as in `gather` */
  struct braid_piece *first = first_of(outbox);
  if (first->segment && !send_descriptor(first, fd)) return -1;
  size_t sent;
  do sent = braid_pipe_write(pipe, bytes_of(first) + first->sent, first->size - first->sent);
  while (sent == 0 && !braid_pipe_await_room(pipe));
  if (sent > 0) send_away(outbox, sent);
  errno = EAGAIN;
  return sent > 0 ? (ssize_t)sent : -1;
}

void braid_outbox_clear(struct braid_outbox *outbox) {
  while (!braid_list_empty(&outbox->pieces)) drop_piece(braid_container(outbox->pieces.next, struct braid_piece, link));
  outbox->size = 0;
}

void braid_outbox_bear(struct braid_outbox *outbox, int error) {
  struct braid_piece *first = braid_container(outbox->pieces.next, struct braid_piece, link);
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
