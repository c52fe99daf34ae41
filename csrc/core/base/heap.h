/* SPDX-License-Identifier: MIT
 * A four-ary heap of deadlines. An entry is known by the address of a number in which the heap keeps its place
 * (0: not in the heap), so that it can be removed in O(log n). Not locked: its owner's thread only. */
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

/* False when memory is out; then nothing has changed. */
bool braid_heap_push(struct braid_heap *heap, int64_t key, uint32_t *place);

/* Takes the entry out; nothing happens when it is not in. */
void braid_heap_remove(struct braid_heap *heap, uint32_t *place);

/* The place whose key is the smallest, taken out if that key is not beyond `limit`; else NULL. */
uint32_t *braid_heap_pop(struct braid_heap *heap, int64_t limit);

/* The smallest key, or INT64_MAX. */
static inline int64_t braid_heap_first(const struct braid_heap *heap) {
  return heap->count > 0 ? heap->entries[0].key : INT64_MAX;
}

#endif
