/* SPDX-License-Identifier: MIT
 * Shared memory behind a descriptor. Another process that gets the descriptor can map it. It has no name, so the system
 * frees it when its last holder is gone, even after a crash. Its size never changes, so every byte of a mapping stays
 * valid. Any thread; blocks only for system calls.
 *
 * A segment can also be a file of the user. Another program may truncate that. A page behind its end cannot be read
 * then: the system sends SIGBUS. So this file handles that signal: the pages that are gone become zeroes, and the
 * segment is *torn*. Other signals of this kind go to the handler from before. */
#ifndef BRAID_SHM_H
#define BRAID_SHM_H

#include <stdatomic.h>

#include "core/base/list.h"

struct braid_shm {
  atomic_uint refs;
  struct braid_list link; /* in the table of all segments of this process */
  uint64_t serial;        /* identifies it in every process that maps it; unique and never 0 */
  uint64_t inode;         /* the file's inode number, which identifies its descriptors */
  bool foreign;           /* another process made it */
  bool named;             /* a file of the user */
  bool copies;            /* what is written stays in this process: the file was opened for reading only */
  atomic_bool torn;       /* a named file was truncated, and that was noticed */
  int fd;
  size_t size; /* whole pages; a page takes memory when it is first written */
  char *base;
};

/* A segment of zeroes of at least `size` bytes. NULL: errno tells. */
struct braid_shm *braid_shm_new(size_t size);

/* The content of a file. Takes over `fd` on success. If it was opened for reading only, writes are not seen by others.
 * NULL: errno tells; ENODATA: the file is empty. */
struct braid_shm *braid_shm_new_named(int fd);

/* How many segments of this process were found to be torn. */
unsigned braid_shm_torn(void);

/* Looks up a segment of this process by its serial; the caller gets a reference. NULL: there is none. */
struct braid_shm *braid_shm_find(uint64_t serial);

/* Looks up or maps a segment that another process made; the caller gets a reference. Takes over `fd`, which may be -1
 * when this process has the segment already. `fd` must be the file with this inode. NULL: errno tells; EBADMSG: `fd` is
 * another file, or can be shrunk. One thread at a time. */
struct braid_shm *braid_shm_adopt(int fd, uint64_t serial, uint64_t inode);

void braid_shm_ref(struct braid_shm *segment);
void braid_shm_unref(struct braid_shm *segment);

/* Rounds up to whole pages, at least one. 0: the size is too large. */
size_t braid_shm_whole_pages(size_t size);

/* Zeroes a part of the segment. Whole pages are returned to the system. */
void braid_shm_clear(struct braid_shm *segment, size_t offset, size_t size);

#endif
