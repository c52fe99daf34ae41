/* SPDX-License-Identifier: MIT
 * Owned by its references; what is in the memory is not this file's business. The mutex guards the rows in which all
 * segments of the process stand, so that each is mapped once. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

enum { ROWS = 64 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct braid_list rows[ROWS];
static uint64_t made;

/* Under the mutex. */
static struct braid_list *row_of(uint64_t serial) {
  struct braid_list *row = &rows[serial % ROWS];
  if (!row->next) braid_list_init(row);
  return row;
}

static bool keep(struct braid_segment *segment) {
  unsigned refs = atomic_load(&segment->refs);
  while (refs > 0 && !atomic_compare_exchange_weak(&segment->refs, &refs, refs + 1)) continue;
  return refs > 0;
}

/* Under the mutex: with a reference; NULL: it is not known, or just going. */
static struct braid_segment *find(uint64_t serial) {
  struct braid_list *row = row_of(serial);
  for (struct braid_list *at = row->next; at != row; at = at->next) {
    struct braid_segment *segment = braid_container(at, struct braid_segment, link);
    if (segment->serial == serial && keep(segment)) return segment;
  }
  return NULL;
}

/* serial 0: a new one. */
static struct braid_segment *map(int fd, size_t size, uint64_t serial) {
  struct braid_segment *segment = malloc(sizeof *segment);
  if (!segment) return NULL;
  atomic_init(&segment->refs, 1);
  segment->fd = fd;
  segment->size = size;
  segment->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (segment->base == MAP_FAILED) {
    free(segment);
    return NULL;
  }
  pthread_mutex_lock(&mutex);
  segment->serial = serial ? serial : (uint64_t)getpid() << 40 | ++made;
  braid_list_push(row_of(segment->serial), &segment->link);
  pthread_mutex_unlock(&mutex);
  return segment;
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
  struct braid_segment *segment = ftruncate(fd, (off_t)size) == 0 ? map(fd, size, 0) : NULL;
  if (segment) return segment;
  int error = errno;
  close(fd);
  errno = error == EFBIG || error == EINVAL ? ENOMEM : error; /* more than a file can have */
  return NULL;
}

struct braid_segment *braid_segment_adopt(int fd, uint64_t serial) {
  struct stat facts;
  pthread_mutex_lock(&mutex);
  struct braid_segment *segment = find(serial);
  pthread_mutex_unlock(&mutex);
  bool known = segment != NULL;
  if (!known && fstat(fd, &facts) == 0) segment = map(fd, (size_t)facts.st_size, serial);
  if ((known || !segment) && fd >= 0) close(fd);
  return segment;
}

void braid_segment_ref(struct braid_segment *segment) {
  atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void braid_segment_unref(struct braid_segment *segment) {
  if (atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1) return;
  pthread_mutex_lock(&mutex);
  braid_list_remove(&segment->link);
  pthread_mutex_unlock(&mutex);
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
