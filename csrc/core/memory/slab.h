/* SPDX-License-Identifier: MIT
 * Rooms: pieces of segments. A small room is a slot of a slab, a large one is a range of its own. Any thread; blocks
 * for the lock and for system calls. */
#ifndef BRAID_SLAB_H
#define BRAID_SLAB_H

#include "core/memory/range.h"

struct braid_slab;

struct braid_room {
  struct braid_shm *segment;
  size_t offset;
  struct braid_slab *slab;   /* the slab whose slot it is, or NULL */
  struct braid_range *range; /* the range that it is, or NULL. If both are NULL, another process owns the room, and it
                                holds a reference to the segment */
};

/* A room of zeroes for `size` bytes, aligned to 64. False: errno tells. */
bool braid_room_take(struct braid_room *room, size_t size);
void braid_room_give(struct braid_room *room);

static inline void *braid_room_data(const struct braid_room *room) { return room->segment->base + room->offset; }

#endif
