/* SPDX-License-Identifier: MIT
 * Bytes that a socket is to take, in order, and descriptors of shared memory that travel with some of them. One thread
 * at a time: a connection's mutex is held. Nothing blocks. */
#ifndef BRAID_OUTBOX_H
#define BRAID_OUTBOX_H

#include <string.h>
#include <sys/types.h>

#include "core/memory/shm.h"
#include "core/sync/message.h"

struct braid_piece {
  struct braid_list link;
  struct braid_message *message; /* whose bytes these are; NULL: our own */
  struct braid_shm *segment;     /* whose descriptor travels with the first byte, that of a head; NULL: none */
  int64_t refused;               /* since when the system does not take it; 0: it was not asked */
  size_t size, sent, room;
  char bytes[];
};

struct braid_outbox {
  struct braid_list pieces;
  size_t size; /* bytes that are not sent */
};

void braid_outbox_init(struct braid_outbox *outbox);

/* What is not sent is lost. */
void braid_outbox_clear(struct braid_outbox *outbox);

/* A new piece with room for so many bytes at least. False: memory is out. */
bool braid_outbox_extend(struct braid_outbox *outbox, size_t size);

/* Whether the last piece has room for so many bytes. */
static inline bool braid_outbox_has_room(const struct braid_outbox *outbox, size_t size) {
  if (braid_list_empty(&outbox->pieces)) return false;
  const struct braid_piece *last = braid_container(outbox->pieces.prev, struct braid_piece, link);
  return !last->message && last->room - last->size >= size;
}

/* Room for so many bytes in one place, whose size they count to already; NULL: memory is out. */
static inline char *braid_outbox_reserve(struct braid_outbox *outbox, size_t size) {
  if (!braid_outbox_has_room(outbox, size) && !braid_outbox_extend(outbox, size)) return NULL;
  struct braid_piece *last = braid_container(outbox->pieces.prev, struct braid_piece, link);
  char *at = last->bytes + last->size;
  last->size += size;
  outbox->size += size;
  return at;
}

/* Copies the bytes; a large message's are kept by reference. False: memory is out. */
static inline bool braid_outbox_append(struct braid_outbox *outbox, const void *bytes, size_t size) {
  if (size == 0) return true;
  char *at = braid_outbox_reserve(outbox, size);
  if (at) memcpy(at, bytes, size);
  return at != NULL;
}
bool braid_outbox_append_message(struct braid_outbox *outbox, struct braid_message *message);

/* The segment's descriptor travels with the next byte, which must be the first of a frame. False: memory is out. */
bool braid_outbox_attach(struct braid_outbox *outbox, struct braid_shm *segment);

/* One system call: how many bytes the socket took; or -1 and errno. Something is there to be sent. */
ssize_t braid_outbox_send(struct braid_outbox *outbox, int fd);

/* The system was short of something that comes back: memory, or descriptors that may be on their way (ETOOMANYREFS),
 * which others have to receive first. When that takes too long the frame goes without its descriptor, and says why. */
void braid_outbox_bear(struct braid_outbox *outbox, int error);

#endif
