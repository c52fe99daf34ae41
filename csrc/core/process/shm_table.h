/* SPDX-License-Identifier: MIT
 * The segments that the two ends of a connection know of each other. A segment's descriptor travels once, in its own
 * frame before the first message with an array in it. After that its serial number is enough.
 *
 * Both ends have a table with the same places, which the sender chooses. The receiver keeps a segment mapped until the
 * sender reports, with the next segment, that the segment no longer exists. If the receiver could not map a segment, it
 * tells the sender. Then arrays in it cannot be read, and fail with the reason, until the sender sends it again with
 * the next array. */
#ifndef BRAID_SHM_TABLE_H
#define BRAID_SHM_TABLE_H

#include "core/process/connection.h"
#include "core/memory/shm.h"

struct braid_known_shm {
  uint64_t serial;           /* 0: the place is free */
  struct braid_shm *segment; /* with a reference; NULL: it could not be mapped */
  int error;                 /* then: why */
};

struct braid_shm_table {
  uint64_t *sent; /* for the sender: serial numbers, 0: free; under the connection's mutex */
  uint32_t sent_room;
  struct braid_known_shm *known; /* for the receiver; the I/O thread only */
  uint32_t known_room;
};

/* Sends the segment's descriptor, unless the other end has it. To be called before a frame with an array in it is
 * begun. False when memory is out. Under the connection's mutex; any thread; does not block. */
bool braid_shm_table_send(struct braid_shm_table *table, struct braid_connection *connection,
                          struct braid_shm *segment);

/* Returns a segment that the other end has sent, with a new reference. NULL: errno says why; EBADMSG: it was never
 * sent. The I/O thread; does not block. */
struct braid_shm *braid_shm_table_find(struct braid_shm_table *table, uint64_t serial);

/* Handles a BRAID_FRAME_SEGMENT. False: it is malformed, or memory is out. In its handler; does not block. */
bool braid_shm_table_receive(struct braid_shm_table *table, struct braid_connection *connection,
                             const struct braid_frame *frame, const char *body);
/* Handles a BRAID_FRAME_SEGMENT_LOST. In its handler; does not block. */
void braid_shm_table_lose(struct braid_shm_table *table, struct braid_connection *connection,
                          const struct braid_frame *frame);

/* A range of bytes in a segment. */
struct braid_span {
  const struct braid_shm *segment;
  size_t begin, end;
};

/* The process that sent the segments has ended, and so have its workers. Gives all pages outside of the spans back to
 * the system, and forgets the segments. Sorts the spans. The I/O thread; does not block. */
void braid_shm_table_trim(struct braid_shm_table *table, struct braid_span *spans, size_t count);

/* The connection is closed. The I/O thread; does not block. */
void braid_shm_table_clear(struct braid_shm_table *table);

#endif
