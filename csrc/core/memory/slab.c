/* SPDX-License-Identifier: MIT
 * A slab owns a range, which it divides into equal slots. `lock` guards all slabs. The invariant: a free slot contains
 * zeroes, and every slab has at least one used slot. */
#include "core/memory/slab.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/list.h"

enum {
  LEAST = 6,        /* the smallest slots have 1 << 6 bytes */
  LARGEST = 13,     /* the largest have 1 << 13; anything larger gets its own range */
  SLAB = 512 << 10, /* bytes of a slab */
  WORD = 64
};

struct braid_slab {
  struct braid_list link; /* in the list of slabs of this slot size that have a free slot */
  struct braid_range *range;
  size_t slots, used;
  unsigned shift;   /* a slot has 1 << shift bytes */
  uint64_t taken[]; /* one bit for each slot */
};

static struct {
  pthread_mutex_t lock;
  struct braid_list open[LARGEST + 1]; /* those with a free slot, by size */
} slabs = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct braid_list *open_list(unsigned shift) {
  struct braid_list *list = &slabs.open[shift];
  if (!list->next) braid_list_init(list);
  return list;
}

static struct braid_slab *slab_new(unsigned shift) {
  size_t slots = SLAB >> shift;
  struct braid_slab *slab = calloc(1, sizeof *slab + slots / WORD * sizeof slab->taken[0]);
  if (!slab) return NULL;
  slab->range = braid_range_take(SLAB);
  if (!slab->range) {
    free(slab);
    return NULL;
  }
  slab->slots = slots;
  slab->shift = shift;
  braid_list_push(open_list(shift), &slab->link);
  return slab;
}

static size_t take_first(struct braid_slab *slab) {
  size_t word = 0;
  while (slab->taken[word] == UINT64_MAX) word++;
  unsigned bit = (unsigned)__builtin_ctzll(~slab->taken[word]);
  slab->taken[word] |= UINT64_C(1) << bit;
  if (++slab->used == slab->slots) braid_list_remove(&slab->link);
  return word * WORD + bit;
}

static bool take_range(struct braid_room *room, size_t size) {
  struct braid_range *range = braid_range_take(size);
  if (range) *room = (struct braid_room){.segment = range->segment, .offset = range->offset, .range = range};
  return range != NULL;
}

bool braid_room_take(struct braid_room *room, size_t size) {
  unsigned shift = LEAST;
  while (shift <= LARGEST && size > (size_t)1 << shift) shift++;
  if (shift > LARGEST) return take_range(room, size);
  pthread_mutex_lock(&slabs.lock);
  struct braid_list *list = open_list(shift);
  struct braid_slab *slab =
      braid_list_empty(list) ? slab_new(shift) : braid_container(list->next, struct braid_slab, link);
  if (slab) {
    size_t offset = slab->range->offset + (take_first(slab) << shift);
    *room = (struct braid_room){.segment = slab->range->segment, .offset = offset, .slab = slab};
  }
  pthread_mutex_unlock(&slabs.lock);
  return slab || (errno == EFBIG && take_range(room, size)); /* EFBIG: a limit forbids files as large as a slab */
}

static void give_slot(struct braid_slab *slab, size_t offset) {
  size_t index = (offset - slab->range->offset) >> slab->shift;
  braid_shm_clear(slab->range->segment, offset, (size_t)1 << slab->shift);
  pthread_mutex_lock(&slabs.lock);
  if (slab->used-- == slab->slots) braid_list_push(open_list(slab->shift), &slab->link);
  slab->taken[index / WORD] &= ~(UINT64_C(1) << index % WORD);
  bool empty = slab->used == 0;
  if (empty) braid_list_remove(&slab->link);
  pthread_mutex_unlock(&slabs.lock);
  if (!empty) return;
  braid_range_give(slab->range);
  free(slab);
}

void braid_room_give(struct braid_room *room) {
  if (room->slab)
    give_slot(room->slab, room->offset);
  else if (room->range)
    braid_range_give(room->range);
  else
    braid_shm_unref(room->segment);
}
