/* SPDX-License-Identifier: MIT
 * Rooms in segments. Small ones of about the same size share a segment, so that there may be very many of them though
 * descriptors are few. Any thread; blocks for the lock, and for system calls. */
#ifndef BRAID_SLAB_H
#define BRAID_SLAB_H

#include "segment.h"

struct braid_slab;

struct braid_room {
  struct braid_segment *segment;
  size_t offset;
  struct braid_slab *slab; /* NULL: the room holds a reference to the segment */
};

/* A zeroed room for `size` bytes, on a boundary of 64. False: errno tells. */
bool braid_room_take(struct braid_room *room, size_t size);
void braid_room_give(struct braid_room *room);

static inline void *braid_room_data(const struct braid_room *room) { return room->segment->base + room->offset; }

#endif
