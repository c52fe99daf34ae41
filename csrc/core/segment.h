/* SPDX-License-Identifier: MIT
 * Memory behind a descriptor, which other processes can map when they are given it: it has no name, and the system
 * frees it when its last holder has gone, however that went. Any thread; blocks only for system calls. */
#ifndef BRAID_SEGMENT_H
#define BRAID_SEGMENT_H

#include <stdatomic.h>

#include "base.h"

struct braid_segment {
  atomic_uint refs;
  int fd;
  size_t size; /* whole pages; a page takes memory once it is written */
  char *base;
};

/* Zeroed memory of at least `size` bytes. NULL: errno tells. */
struct braid_segment *braid_segment_new(size_t size);

/* The memory behind a descriptor that another process's segment has, and that is the segment's from now on. NULL:
 * errno tells, and it is still the caller's. */
struct braid_segment *braid_segment_adopt(int fd);

void braid_segment_ref(struct braid_segment *segment);
void braid_segment_unref(struct braid_segment *segment);

/* Zeroes a part of it; whole pages are given back to the system. */
void braid_segment_clear(struct braid_segment *segment, size_t offset, size_t size);

#endif
