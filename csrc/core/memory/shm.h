/* SPDX-License-Identifier: MIT
 * Memory behind a descriptor, which other processes can map when they are given it: it has no name, and the system
 * frees it when its last holder has gone, however that went. It never changes its size, so who maps it may rely on all
 * of it. Any thread; blocks only for system calls. */
#ifndef BRAID_SHM_H
#define BRAID_SHM_H

#include <stdatomic.h>

#include "core/base/list.h"

struct braid_shm {
  atomic_uint refs;
  struct braid_list link; /* among all of this process */
  uint64_t serial;        /* the same in every process that maps it, and no other's, ever; not 0 */
  uint64_t inode;         /* the system's number of the file: by it a descriptor is known again */
  bool foreign;           /* another process made it */
  int fd;
  size_t size; /* whole pages; a page takes memory once it is written */
  char *base;
};

/* Zeroed memory of at least `size` bytes. NULL: errno tells. */
struct braid_shm *braid_shm_new(size_t size);

/* The segment with this serial that this process has, with a reference for the caller. NULL: it has none. */
struct braid_shm *braid_shm_find(uint64_t serial);

/* The segment with this serial, which another process made; the descriptor is taken over, and only needed (not -1) when
 * this process does not have it yet. It must be of the file with this number. With a reference for the caller. NULL:
 * errno tells; EBADMSG: the descriptor is of something else. One thread at a time. */
struct braid_shm *braid_shm_adopt(int fd, uint64_t serial, uint64_t inode);

void braid_shm_ref(struct braid_shm *segment);
void braid_shm_unref(struct braid_shm *segment);

/* So many bytes in whole pages, one at least; 0: it is more than there can be. */
size_t braid_shm_whole_pages(size_t size);

/* Zeroes a part of it; whole pages are given back to the system. */
void braid_shm_clear(struct braid_shm *segment, size_t offset, size_t size);

#endif
