/* SPDX-License-Identifier: MIT
 * Memory behind a descriptor, which other processes can map when they are given it: it has no name, and the system
 * frees it when its last holder has gone, however that went. Any thread; blocks only for system calls. */
#ifndef BRAID_SEGMENT_H
#define BRAID_SEGMENT_H

#include <stdatomic.h>

#include "list.h"

struct braid_segment {
  atomic_uint refs;
  struct braid_list link; /* among all of this process */
  uint64_t serial;        /* the same in every process that maps it, and no other's */
  int fd;
  size_t size; /* whole pages; a page takes memory once it is written */
  char *base;
};

/* Zeroed memory of at least `size` bytes. NULL: errno tells. */
struct braid_segment *braid_segment_new(size_t size);

/* The segment with this serial, which another process made; the descriptor is taken over, and only needed (not -1) when
 * this process does not know it yet. With a reference for the caller. NULL: errno tells. */
struct braid_segment *braid_segment_adopt(int fd, uint64_t serial);

void braid_segment_ref(struct braid_segment *segment);
void braid_segment_unref(struct braid_segment *segment);

/* Zeroes a part of it; whole pages are given back to the system. */
void braid_segment_clear(struct braid_segment *segment, size_t offset, size_t size);

#endif
