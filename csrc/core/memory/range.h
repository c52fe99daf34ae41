/* SPDX-License-Identifier: MIT
 * Ranges of whole pages in a few large segments. So there can be very many ranges with few descriptors and mappings.
 * Any thread; blocks for the lock and for system calls. */
#ifndef BRAID_RANGE_H
#define BRAID_RANGE_H

#include "core/memory/shm.h"

struct braid_range {
  struct braid_shm *segment; /* it lives as long as the range */
  size_t offset, size;       /* whole pages */
  /* Guarded by the lock of range.c. */
  bool free;
  struct braid_list beside; /* the ranges of the segment, by address */
  struct braid_list bin;    /* if free: the bin of ranges of about this size */
};

/* A range of zeroes for at least `size` bytes. NULL: errno tells. */
struct braid_range *braid_range_take(size_t size);
void braid_range_give(struct braid_range *range);

#endif
