/* SPDX-License-Identifier: MIT
 * Owned by its references; what is in the memory is not this file's business. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
static int open_unnamed(void) { return memfd_create("braid", MFD_CLOEXEC); }
#else
static int open_unnamed(void) {
  static atomic_uint count;
  char name[40];
  snprintf(name, sizeof name, "/braid.%ld.%u", (long)getpid(), atomic_fetch_add(&count, 1));
  int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return -1;
  shm_unlink(name);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}
#endif

static struct braid_segment *map(int fd, size_t size) {
  struct braid_segment *segment = malloc(sizeof *segment);
  if (!segment) return NULL;
  atomic_init(&segment->refs, 1);
  segment->fd = fd;
  segment->size = size;
  segment->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (segment->base != MAP_FAILED) return segment;
  free(segment);
  return NULL;
}

struct braid_segment *braid_segment_new(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (size > SIZE_MAX / 4) {
    errno = ENOMEM;
    return NULL;
  }
  size = size ? (size + page - 1) / page * page : page;
  int fd = open_unnamed();
  if (fd < 0) return NULL;
  struct braid_segment *segment = ftruncate(fd, (off_t)size) == 0 ? map(fd, size) : NULL;
  if (segment) return segment;
  int error = errno;
  close(fd);
  errno = error == EFBIG || error == EINVAL ? ENOMEM : error; /* more than a file can have */
  return NULL;
}

struct braid_segment *braid_segment_adopt(int fd) {
  struct stat facts;
  return fstat(fd, &facts) == 0 ? map(fd, (size_t)facts.st_size) : NULL;
}

void braid_segment_ref(struct braid_segment *segment) {
  atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void braid_segment_unref(struct braid_segment *segment) {
  if (atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1) return;
  munmap(segment->base, segment->size);
  close(segment->fd);
  free(segment);
}

void braid_segment_clear(struct braid_segment *segment, size_t offset, size_t size) {
#ifdef MADV_REMOVE
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  bool whole = offset % page == 0 && size % page == 0;
  if (whole && madvise(segment->base + offset, size, MADV_REMOVE) == 0) return;
#endif
  memset(segment->base + offset, 0, size);
}
