/* SPDX-License-Identifier: MIT
 * Which segments the two ends of a connection know of each other's. A segment's descriptor travels once, in a frame of
 * its own in front of the first message that has an array in it; from then on its serial is enough.
 *
 * Both ends have a table with the same places, which the sender chooses. The receiver keeps a segment mapped until it
 * is told that its owner has given it up: with the next segment that is sent. What the receiver could not have it tells
 * the sender, who sends it again with the next array; until then arrays in it cannot be read, and say why. */
#ifndef BRAID_SHM_TABLE_H
#define BRAID_SHM_TABLE_H

#include "core/process/connection.h"
#include "core/memory/shm.h"

struct braid_known_shm {
  uint64_t serial;           /* 0: none */
  struct braid_shm *segment; /* with a reference; NULL: it is not here, */
  int error;                 /* because of this */
};

struct braid_shm_table {
  uint64_t *sent; /* the sender's: serials, 0: none; under the connection's mutex */
  uint32_t sent_room;
  struct braid_known_shm *known; /* the receiver's; the I/O thread only */
  uint32_t known_room;
};

/* The descriptor is sent, if the other end does not have it. Before a frame that has an array in it is begun; under the
 * connection's mutex. False: memory is out. */
bool braid_shm_table_send(struct braid_shm_table *table, struct braid_connection *connection,
                          struct braid_shm *segment);

/* A segment that was sent, with a reference for the caller. NULL: errno tells; EBADMSG: it was never sent. The I/O
 * thread. */
struct braid_shm *braid_shm_table_find(struct braid_shm_table *table, uint64_t serial);

/* A BRAID_FRAME_SEGMENT has come. False: it is not sound, or memory is out. The I/O thread, in the handler. */
bool braid_shm_table_receive(struct braid_shm_table *table, struct braid_connection *connection,
                             const struct braid_frame *frame, const char *body);
/* A BRAID_FRAME_SEGMENT_LOST has come. */
void braid_shm_table_lose(struct braid_shm_table *table, struct braid_connection *connection,
                          const struct braid_frame *frame);

/* Bytes of a segment. */
struct braid_span {
  const struct braid_shm *segment;
  size_t begin, end;
};

/* The process that sent the segments has ended, and those that it had started: what is in none of the spans, which are
 * sorted here, goes back to the system. None of them is known from then on. The I/O thread. */
void braid_shm_table_trim(struct braid_shm_table *table, struct braid_span *spans, size_t count);

/* The connection is closed. The I/O thread. */
void braid_shm_table_clear(struct braid_shm_table *table);

#endif
