/* SPDX-License-Identifier: MIT
 * A four-ary heap of deadlines. The owner of an entry has a number `place`, in which the heap stores the entry's index
 * plus one (0: not in the heap). The address of that number identifies the entry, so removal takes O(log n). The heap
 * has no lock: only its owner's thread may use it. */
#ifndef BRAID_HEAP_H
#define BRAID_HEAP_H

#include "core/base/base.h"

struct braid_heap_entry {
  int64_t key;
  uint32_t *place;
};

struct braid_heap {
  struct braid_heap_entry *entries;
  uint32_t count, capacity;
};

void braid_heap_init(struct braid_heap *heap);
void braid_heap_term(struct braid_heap *heap);

/* False when memory is out; nothing has changed then. */
bool braid_heap_push(struct braid_heap *heap, int64_t key, uint32_t *place);

/* Removes the entry; does nothing when it is not in the heap. */
void braid_heap_remove(struct braid_heap *heap, uint32_t *place);

/* Removes the entry with the smallest key if that key is at most `limit`, and returns its place; else NULL. */
uint32_t *braid_heap_pop(struct braid_heap *heap, int64_t limit);

/* The smallest key, or INT64_MAX. */
static inline int64_t braid_heap_first(const struct braid_heap *heap) {
  return heap->count > 0 ? heap->entries[0].key : INT64_MAX;
}

#endif
