/* SPDX-License-Identifier: MIT
 * What is to be sent stands in pieces: small frames together in one, the bytes of a message by reference. */
#include "core/process/outbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base/clock.h"
#include "core/process/frame.h"

#ifndef MSG_NOSIGNAL /* then the socket is told, when it is made: SO_NOSIGPIPE */
#define MSG_NOSIGNAL 0
#endif

enum {
  PIECE = 16 * 1024,   /* room of a piece for small frames */
  BY_REFERENCE = 4096, /* messages from here on are not copied into pieces */
  MOST_PIECES = 32     /* in one system call */
};

#define PATIENCE (2 * BRAID_SECOND) /* then a descriptor is not sent, and what needs it fails */

struct piece {
  struct braid_list link;
  struct braid_message *message; /* whose bytes these are; NULL: our own */
  struct braid_shm *segment;     /* whose descriptor travels with the first byte, that of a head; NULL: none */
  int64_t refused;               /* since when the system does not take it; 0: it was not asked */
  size_t size, sent, room;
  char bytes[];
};

void braid_outbox_init(struct braid_outbox *outbox) {
  braid_list_init(&outbox->pieces);
  outbox->size = 0;
}

/* ---- putting -------------------------------------------------------------------------------------------------- */

static struct piece *last_piece(struct braid_outbox *outbox) {
  return braid_list_empty(&outbox->pieces) ? NULL : braid_container(outbox->pieces.prev, struct piece, link);
}

static struct piece *new_piece(struct braid_outbox *outbox, size_t room) {
  struct piece *piece = malloc(sizeof *piece + room);
  if (!piece) return NULL;
  *piece = (struct piece){.room = room};
  braid_list_init(&piece->link);
  braid_list_push(&outbox->pieces, &piece->link);
  return piece;
}

static void drop_piece(struct piece *piece) {
  braid_list_remove(&piece->link);
  if (piece->message) braid_message_unref(piece->message);
  if (piece->segment) braid_shm_unref(piece->segment);
  free(piece);
}

char *braid_outbox_reserve(struct braid_outbox *outbox, size_t size) {
  struct piece *piece = last_piece(outbox);
  if (!piece || piece->message || piece->room - piece->size < size) {
    piece = new_piece(outbox, size > PIECE ? size : PIECE);
    if (!piece) return NULL;
  }
  char *at = piece->bytes + piece->size;
  piece->size += size;
  outbox->size += size;
  return at;
}

bool braid_outbox_append(struct braid_outbox *outbox, const void *bytes, size_t size) {
  if (size == 0) return true;
  char *at = braid_outbox_reserve(outbox, size);
  if (at) memcpy(at, bytes, size);
  return at != NULL;
}

bool braid_outbox_append_message(struct braid_outbox *outbox, struct braid_message *message) {
  if (message->size < BY_REFERENCE) return braid_outbox_append(outbox, message->bytes, message->size);
  struct piece *piece = new_piece(outbox, 0);
  if (!piece) return false;
  braid_message_ref(message);
  piece->message = message;
  piece->size = message->size;
  outbox->size += message->size;
  return true;
}

bool braid_outbox_attach(struct braid_outbox *outbox, struct braid_shm *segment) {
  struct piece *piece = new_piece(outbox, PIECE);
  if (!piece) return false;
  braid_shm_ref(segment);
  piece->segment = segment;
  return true;
}

/* ---- sending -------------------------------------------------------------------------------------------------- */

static const char *bytes_of(const struct piece *piece) { return piece->message ? piece->message->bytes : piece->bytes; }

/* Pieces for one system call: a descriptor travels with the first. */
static int gather(struct braid_outbox *outbox, struct iovec *vector) {
  int count = 0;
  struct piece *first = braid_container(outbox->pieces.next, struct piece, link);
  if (first->size == first->sent) drop_piece(first); /* it was kept, and something else came behind it */
  for (struct braid_list *at = outbox->pieces.next; at != &outbox->pieces && count < MOST_PIECES; at = at->next) {
    struct piece *piece = braid_container(at, struct piece, link);
    if (count > 0 && piece->segment) break;
    vector[count].iov_base = (char *)(uintptr_t)bytes_of(piece) + piece->sent;
    vector[count++].iov_len = piece->size - piece->sent;
  }
  return count;
}

static void send_away(struct braid_outbox *outbox, size_t sent) {
  outbox->size -= sent;
  struct piece *first = NULL;
  while (!braid_list_empty(&outbox->pieces)) {
    first = braid_container(outbox->pieces.next, struct piece, link);
    size_t part = first->size - first->sent;
    if (part > sent) break;
    sent -= part;
    bool keep = first->link.next == &outbox->pieces && !first->message && first->room == PIECE && !first->segment;
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

static ssize_t send_some(struct braid_outbox *outbox, int fd) {
  struct iovec vector[MOST_PIECES];
  struct msghdr head = {.msg_iov = vector};
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  head.msg_iovlen = (size_t)gather(outbox, vector);
  const struct braid_shm *segment = braid_container(outbox->pieces.next, struct piece, link)->segment;
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

ssize_t braid_outbox_send(struct braid_outbox *outbox, int fd) {
  ssize_t sent = send_some(outbox, fd);
  if (sent > 0) send_away(outbox, (size_t)sent);
  return sent;
}

void braid_outbox_clear(struct braid_outbox *outbox) {
  while (!braid_list_empty(&outbox->pieces)) drop_piece(braid_container(outbox->pieces.next, struct piece, link));
  outbox->size = 0;
}

void braid_outbox_bear(struct braid_outbox *outbox, int error) {
  struct piece *first = braid_container(outbox->pieces.next, struct piece, link);
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
