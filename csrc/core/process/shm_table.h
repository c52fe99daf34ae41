/* SPDX-License-Identifier: MIT
 * Which segments the two ends of a link know of each other's. A segment's descriptor travels once, in a frame of its
 * own in front of the first message that has an array in it; from then on its serial is enough.
 *
 * Both ends have a table with the same places, which the sender chooses. The receiver keeps a segment mapped until it
 * is told that its owner has given it up: with the next segment that is sent. What the receiver could not have it tells
 * the sender, who sends it again with the next array; until then arrays in it cannot be read, and say why. */
#ifndef BRAID_SHM_TABLE_H
#define BRAID_SHM_TABLE_H

#include "core/process/connection.h"
#include "core/memory/shm.h"

struct braid_known_segment {
  uint64_t serial;               /* 0: none */
  struct braid_segment *segment; /* with a reference; NULL: it is not here, */
  int error;                     /* because of this */
};

struct braid_segment_table {
  uint64_t *sent; /* the sender's: serials, 0: none; under the link's mutex */
  uint32_t sent_room;
  struct braid_known_segment *known; /* the receiver's; the broker's thread only */
  uint32_t known_room;
};

/* The descriptor is sent, if the other end does not have it. Before a frame that has an array in it is begun; under the
 * link's mutex. False: memory is out. */
bool braid_segment_table_send(struct braid_segment_table *table, struct braid_link *link,
                              struct braid_segment *segment);

/* A segment that was sent, with a reference for the caller. NULL: errno tells; EBADMSG: it was never sent. The broker's
 * thread. */
struct braid_segment *braid_segment_table_find(struct braid_segment_table *table, uint64_t serial);

/* A BRAID_FRAME_SEGMENT has come. False: it is not sound, or memory is out. The broker's thread, in the handler. */
bool braid_segment_table_receive(struct braid_segment_table *table, struct braid_link *link,
                                 const struct braid_frame *frame, const char *body);
/* A BRAID_FRAME_SEGMENT_LOST has come. */
void braid_segment_table_lose(struct braid_segment_table *table, struct braid_link *link,
                              const struct braid_frame *frame);

/* Bytes of a segment. */
struct braid_span {
  const struct braid_segment *segment;
  size_t begin, end;
};

/* The process that sent the segments has ended, and those that it had started: what is in none of the spans, which are
 * sorted here, goes back to the system. None of them is known from then on. The broker's thread. */
void braid_segment_table_trim(struct braid_segment_table *table, struct braid_span *spans, size_t count);

/* The link is closed. The broker's thread. */
void braid_segment_table_clear(struct braid_segment_table *table);

#endif
