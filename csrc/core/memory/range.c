/* SPDX-License-Identifier: MIT
 * The process owns some segments. Each is cut into ranges that lie side by side, without a gap: those that were taken
 * are their takers', those that are free stand in bins by size. The lock guards all of this; the books are kept outside
 * of the segments, where no other process can write.
 *
 * The invariant: a free range has no pages, so it reads as zeroes, and the ranges beside it are not free.
 *
 * Addresses cost nothing, pages do: so segments are made larger and larger, that they stay few, and pages go back to
 * the system with each range. A segment that is free as a whole goes, too, where enough addresses are free in others of
 * that kind. */
#include "core/memory/range.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
  BINS = 64, /* in bin i are those of 1 << i bytes to twice as many */
  LOOKS = 16 /* at ranges of about the size, before a larger one is cut */
};
static const size_t FIRST_SEGMENT = 4 << 20, MOST_SPARE = 64 << 20;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct braid_list bins[BINS];
static uint64_t filled;   /* a bit for each bin with a range */
static unsigned segments; /* how many there are */
static size_t spare;      /* bytes of those that are free as a whole */

/* ---- free ranges: under the lock ------------------------------------------------------------------------------ */

static unsigned bin_of(size_t size) { return 63 - (unsigned)__builtin_clzll(size); }

static bool is_whole(const struct braid_range *range) { return range->size == range->segment->size; }

static struct braid_range *in_bin(struct braid_list *at) { return braid_container(at, struct braid_range, bin); }

static void put_in_bin(struct braid_range *range) {
  struct braid_list *bin = &bins[bin_of(range->size)];
  if (!bin->next) braid_list_init(bin);
  braid_list_push(bin, &range->bin);
  range->free = true;
  if (is_whole(range)) spare += range->size;
  filled |= UINT64_C(1) << bin_of(range->size);
}

static void take_from_bin(struct braid_range *range) {
  unsigned bin = bin_of(range->size);
  braid_list_remove(&range->bin);
  range->free = false;
  if (braid_list_empty(&bins[bin])) filled &= ~(UINT64_C(1) << bin);
  if (is_whole(range)) spare -= range->size;
}

/* One of at least this size; NULL: there is none. */
static struct braid_range *find(size_t size) {
  unsigned bin = bin_of(size);
  if (filled >> bin & 1) {
    struct braid_list *at = bins[bin].next;
    for (int looks = 0; looks < LOOKS && at != &bins[bin]; looks++, at = at->next)
      if (in_bin(at)->size >= size) return in_bin(at);
  }
  uint64_t larger = bin + 1 < BINS ? filled >> (bin + 1) : 0;
  return larger ? in_bin(bins[bin + 1 + (unsigned)__builtin_ctzll(larger)].next) : NULL;
}

/* ---- cutting and joining: under the lock ---------------------------------------------------------------------- */

/* What is more than `size` becomes a free range; returns whether there was more, and `rest` is used. */
static bool cut(struct braid_range *range, size_t size, struct braid_range *rest) {
  if (range->size == size) return false;
  *rest = (struct braid_range){.segment = range->segment, .offset = range->offset + size, .size = range->size - size};
  range->size = size;
  braid_list_push(range->beside.next, &rest->beside);
  put_in_bin(rest);
  return true;
}

/* The free range behind this one (or, at the end of the segment, none). */
static struct braid_range *free_behind(struct braid_range *range) {
  struct braid_range *next = braid_container(range->beside.next, struct braid_range, beside);
  return next->free && next->offset > range->offset ? next : NULL;
}

static struct braid_range *free_before(struct braid_range *range) {
  struct braid_range *before = braid_container(range->beside.prev, struct braid_range, beside);
  return before->free && before->offset < range->offset ? before : NULL;
}

/* The second, which lies behind the first and is in no bin, becomes part of it. */
static void join(struct braid_range *range, struct braid_range *second) {
  range->size += second->size;
  braid_list_remove(&second->beside);
  free(second);
}

/* ---- segments: under the lock --------------------------------------------------------------------------------- */

/* How large the next one is to be: twice the one before, but a small part of the addresses that the process may use. */
static size_t wanted(size_t least) {
  enum { PART = 64, ADDRESS_BITS = sizeof(size_t) > 4 ? 46 : 31 };
  struct rlimit limit;
  size_t size = FIRST_SEGMENT, space = (size_t)1 << ADDRESS_BITS;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < space) space = (size_t)limit.rlim_cur;
  for (unsigned i = 0; i < segments && size < space / PART; i++) size *= 2;
  if (size > space / PART) size = space / PART;
  return size > least ? size : least;
}

/* Where the system refuses that much, less may do. */
static struct braid_shm *new_segment(size_t least) {
  struct braid_shm *segment = NULL;
  for (size_t size = wanted(least);; size = size / 2 > least ? size / 2 : least) {
    segment = braid_shm_new(size);
    if (segment || size == least || errno == EMFILE || errno == ENFILE) return segment;
  }
}

/* A new segment as one range, `range`, which is taken. */
static bool grow(struct braid_range *range, size_t size) {
  struct braid_shm *segment = new_segment(size);
  if (!segment) return false;
  *range = (struct braid_range){.segment = segment, .size = segment->size};
  braid_list_init(&range->beside);
  segments++;
  return true;
}

/* A free range that is a segment, and one too many: the caller is to give it up. */
static bool is_too_many(struct braid_range *range) {
  if (!is_whole(range) || spare <= MOST_SPARE) return false;
  take_from_bin(range);
  segments--;
  return true;
}

/* ---- what others call ----------------------------------------------------------------------------------------- */

struct braid_range *braid_range_take(size_t size) {
  size = braid_shm_whole_pages(size);
  struct braid_range *fresh = malloc(sizeof *fresh), *rest = malloc(sizeof *rest);
  if (size == 0 || !fresh || !rest) {
    free(fresh);
    free(rest);
    errno = ENOMEM;
    return NULL;
  }
  pthread_mutex_lock(&lock);
  struct braid_range *range = find(size);
  if (range) {
    take_from_bin(range);
  } else if (grow(fresh, size)) {
    range = fresh;
    fresh = NULL;
  }
  if (range && cut(range, size, rest)) rest = NULL;
  int error = errno;
  pthread_mutex_unlock(&lock);
  free(fresh);
  free(rest);
  errno = error;
  return range;
}

void braid_range_give(struct braid_range *range) {
  braid_shm_clear(range->segment, range->offset, range->size);
  pthread_mutex_lock(&lock);
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
  pthread_mutex_unlock(&lock);
  if (!gone) return;
  braid_shm_unref(range->segment);
  free(range);
}
