/* SPDX-License-Identifier: MIT
 * Ranges of whole pages in a few large segments, so that there may be very many of them though descriptors and mappings
 * are few. Any thread; blocks for the lock, and for system calls. */
#ifndef BRAID_RANGE_H
#define BRAID_RANGE_H

#include "core/memory/shm.h"

struct braid_range {
  struct braid_shm *segment; /* which lives as long as the range */
  size_t offset, size;       /* whole pages */
  /* Under the lock. */
  bool free;
  struct braid_list beside; /* those of the segment, in the order of their addresses */
  struct braid_list bin;    /* free: among those of about its size */
};

/* A zeroed range for `size` bytes. NULL: errno tells. */
struct braid_range *braid_range_take(size_t size);
void braid_range_give(struct braid_range *range);

#endif
