/* SPDX-License-Identifier: MIT
 * The bytes that wait to be sent on a socket, in order, and the descriptors of shared memory that travel with some of
 * them. The caller holds the connection's mutex. Any thread; nothing blocks. */
#ifndef BRAID_OUTBOX_H
#define BRAID_OUTBOX_H

#include <string.h>
#include <sys/types.h>

#include "core/memory/shm.h"
#include "core/process/pipe.h"
#include "core/sync/message.h"

struct braid_piece {
  struct braid_list link;
  struct braid_message *message; /* the bytes are this message's; NULL: they are in `bytes` */
  struct braid_shm *segment;     /* its descriptor travels with the first byte, the head of a frame; NULL: none */
  int64_t refused;               /* since when the system refuses to send it; 0: it has not */
  size_t size, sent, room;
  char bytes[];
};

struct braid_outbox {
  struct braid_list pieces;
  size_t size; /* bytes not yet sent */
};

void braid_outbox_init(struct braid_outbox *outbox);

/* Drops everything that is not sent. */
void braid_outbox_clear(struct braid_outbox *outbox);

/* Adds a piece with room for at least `size` bytes. False when memory is out. */
bool braid_outbox_extend(struct braid_outbox *outbox, size_t size);

/* Whether the last piece has room for so many bytes. */
static inline bool braid_outbox_has_room(const struct braid_outbox *outbox, size_t size) {
  if (braid_list_empty(&outbox->pieces)) return false;
  const struct braid_piece *last = braid_container(outbox->pieces.prev, struct braid_piece, link);
  return !last->message && last->room - last->size >= size;
}

/* Returns contiguous room for so many bytes and counts them as part of the outbox. NULL when memory is out. */
static inline char *braid_outbox_reserve(struct braid_outbox *outbox, size_t size) {
  if (!braid_outbox_has_room(outbox, size) && !braid_outbox_extend(outbox, size)) return NULL;
  struct braid_piece *last = braid_container(outbox->pieces.prev, struct braid_piece, link);
  char *at = last->bytes + last->size;
  last->size += size;
  outbox->size += size;
  return at;
}

/* Append bytes, or a message's bytes. Small ones are copied; of a large message a reference is kept. False when memory
 * is out. */
static inline bool braid_outbox_append(struct braid_outbox *outbox, const void *bytes, size_t size) {
  if (size == 0) return true;
  char *at = braid_outbox_reserve(outbox, size);
  if (at) memcpy(at, bytes, size);
  return at != NULL;
}
bool braid_outbox_append_message(struct braid_outbox *outbox, struct braid_message *message);

/* Adds the segment's descriptor to the next byte, which must be the first of a frame. False when memory is out. */
bool braid_outbox_attach(struct braid_outbox *outbox, struct braid_shm *segment);

/* Makes one system call. Returns how many bytes the socket took, or -1 and errno. There must be something to send. */
ssize_t braid_outbox_send(struct braid_outbox *outbox, int fd);

/* The same through a pipe; the socket takes the descriptor, if one travels with the first byte. -1 and EAGAIN: the pipe
 * is full, and its reader will call. */
ssize_t braid_outbox_pour(struct braid_outbox *outbox, int fd, struct braid_pipe_end *pipe);

/* The system had no memory, or too many descriptors are on their way (ETOOMANYREFS) until others receive them. When
 * that lasts too long, the frame is sent without its descriptor, and its status says why. */
void braid_outbox_bear(struct braid_outbox *outbox, int error);

#endif
