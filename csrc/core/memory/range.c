/* SPDX-License-Identifier: MIT
 * The process owns a few segments. Each is divided into adjacent ranges without gaps. A taken range belongs to its
 * taker; free ranges are in bins by size. `lock` guards all of this. The book-keeping is outside the segments, where no
 * other process can write.
 *
 * The invariant: a free range has no pages, so it reads as zeroes, and its neighbours are not free.
 *
 * Address space is cheap, pages are not. So each new segment is larger than the last, which keeps their number small,
 * and each range returns its pages to the system when it is given back. A segment that is wholly free is unmapped when
 * more than MOST_SPARE bytes of such segments are free. */
#include "core/memory/range.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
  BINS = 64, /* bin i has the ranges of 1 << i bytes up to twice as many */
  LOOKS = 16 /* ranges of about the right size to look at before a larger one is cut */
};
static const size_t FIRST_SEGMENT = 4 << 20, MOST_SPARE = 64 << 20;

static struct {
  pthread_mutex_t lock;
  struct braid_list bins[BINS];
  uint64_t filled;   /* a bit for each bin with a range */
  unsigned segments; /* how many there are */
  size_t spare;      /* bytes of those that are free as a whole */
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- free ranges: under the lock ------------------------------------------------------------------------------ */

static unsigned bin_of(size_t size) { return 63 - (unsigned)__builtin_clzll(size); }

static bool is_whole(const struct braid_range *range) { return range->size == range->segment->size; }

static struct braid_range *in_bin(struct braid_list *at) { return braid_container(at, struct braid_range, bin); }

static void put_in_bin(struct braid_range *range) {
  struct braid_list *bin = &memory.bins[bin_of(range->size)];
  if (!bin->next) braid_list_init(bin);
  braid_list_push(bin, &range->bin);
  range->free = true;
  if (is_whole(range)) memory.spare += range->size;
  memory.filled |= UINT64_C(1) << bin_of(range->size);
}

static void take_from_bin(struct braid_range *range) {
  unsigned bin = bin_of(range->size);
  braid_list_remove(&range->bin);
  range->free = false;
  if (braid_list_empty(&memory.bins[bin])) memory.filled &= ~(UINT64_C(1) << bin);
  if (is_whole(range)) memory.spare -= range->size;
}

/* A free range of at least this size; NULL: there is none. */
static struct braid_range *find(size_t size) {
  unsigned bin = bin_of(size);
  if (memory.filled >> bin & 1) {
    struct braid_list *at = memory.bins[bin].next;
    for (int looks = 0; looks < LOOKS && at != &memory.bins[bin]; looks++, at = at->next)
      if (in_bin(at)->size >= size) return in_bin(at);
  }
  uint64_t larger = bin + 1 < BINS ? memory.filled >> (bin + 1) : 0;
  return larger ? in_bin(memory.bins[bin + 1 + (unsigned)__builtin_ctzll(larger)].next) : NULL;
}

/* ---- cutting and joining: under the lock ---------------------------------------------------------------------- */

/* Cuts the range to `size`. The remainder becomes a free range, in `rest`. False when there is no remainder. */
static bool cut(struct braid_range *range, size_t size, struct braid_range *rest) {
  if (range->size == size) return false;
  *rest = (struct braid_range){.segment = range->segment, .offset = range->offset + size, .size = range->size - size};
  range->size = size;
  braid_list_push(range->beside.next, &rest->beside);
  put_in_bin(rest);
  return true;
}

/* The next range in the segment if it is free, else NULL. */
static struct braid_range *free_behind(struct braid_range *range) {
  struct braid_range *next = braid_container(range->beside.next, struct braid_range, beside);
  return next->free && next->offset > range->offset ? next : NULL;
}

static struct braid_range *free_before(struct braid_range *range) {
  struct braid_range *before = braid_container(range->beside.prev, struct braid_range, beside);
  return before->free && before->offset < range->offset ? before : NULL;
}

/* Merges `second`, which follows `range` and is in no bin, into `range`. */
static void join(struct braid_range *range, struct braid_range *second) {
  range->size += second->size;
  braid_list_remove(&second->beside);
  free(second);
}

/* ---- segments: under the lock --------------------------------------------------------------------------------- */

/* The size of the next segment: twice the last one, but at most a small part of the address space that the process may
 * use. */
static size_t wanted(size_t least) {
  enum { PART = 64, ADDRESS_BITS = sizeof(size_t) > 4 ? 46 : 31 };
  struct rlimit limit;
  size_t size = FIRST_SEGMENT, space = (size_t)1 << ADDRESS_BITS;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < space) space = (size_t)limit.rlim_cur;
  for (unsigned i = 0; i < memory.segments && size < space / PART; i++) size *= 2;
  if (size > space / PART) size = space / PART;
  return size > least ? size : least;
}

/* Asks for less when the system refuses the wanted size. */
static struct braid_shm *new_segment(size_t least) {
  struct braid_shm *segment = NULL;
  for (size_t size = wanted(least);; size = size / 2 > least ? size / 2 : least) {
    segment = braid_shm_new(size);
    if (segment || size == least || errno == EMFILE || errno == ENFILE) return segment;
  }
}

/* Makes a new segment, wholly covered by `range`, which is taken. */
static bool grow(struct braid_range *range, size_t size) {
  struct braid_shm *segment = new_segment(size);
  if (!segment) return false;
  *range = (struct braid_range){.segment = segment, .size = segment->size};
  braid_list_init(&range->beside);
  memory.segments++;
  return true;
}

/* True when the free range is a whole segment and there are enough others. It has left its bin then, and the caller
 * frees it. */
static bool is_too_many(struct braid_range *range) {
  if (!is_whole(range) || memory.spare <= MOST_SPARE) return false;
  take_from_bin(range);
  memory.segments--;
  return true;
}

/* ---- public --------------------------------------------------------------------------------------------------- */

struct braid_range *braid_range_take(size_t size) {
  size = braid_shm_whole_pages(size);
  struct braid_range *fresh = malloc(sizeof *fresh), *rest = malloc(sizeof *rest);
  if (size == 0 || !fresh || !rest) {
    free(fresh);
    free(rest);
    errno = ENOMEM;
    return NULL;
  }
  pthread_mutex_lock(&memory.lock);
  struct braid_range *range = find(size);
  if (range) {
    take_from_bin(range);
  } else if (grow(fresh, size)) {
    range = fresh;
    fresh = NULL;
  }
  if (range && cut(range, size, rest)) rest = NULL;
  int error = errno;
  pthread_mutex_unlock(&memory.lock);
  free(fresh);
  free(rest);
  errno = error;
  return range;
}

void braid_range_give(struct braid_range *range) {
  braid_shm_clear(range->segment, range->offset, range->size);
  pthread_mutex_lock(&memory.lock);
  struct braid_range *other = free_behind(range);
  if (other) {
    take_from_bin(other);
    join(range, other);
  }
  other = free_before(range);
  if (other) {
    take_from_bin(other);
    join(other, range);
    range = other;
  }
  put_in_bin(range);
  bool gone = is_too_many(range);
  pthread_mutex_unlock(&memory.lock);
  if (!gone) return;
  braid_shm_unref(range->segment);
  free(range);
}
