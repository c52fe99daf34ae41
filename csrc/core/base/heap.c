/* SPDX-License-Identifier: MIT
 * Each node has four children: the heap is half as deep as a binary one, and the children share a cache line. */
#include "core/base/heap.h"

#include <stdlib.h>

enum { ARITY = 4, FIRST_CAPACITY = 64 };

void braid_heap_init(struct braid_heap *heap) { *heap = (struct braid_heap){0}; }

void braid_heap_term(struct braid_heap *heap) {
  free(heap->entries);
  braid_heap_init(heap);
}

static void put(struct braid_heap *heap, uint32_t index, struct braid_heap_entry entry) {
  heap->entries[index] = entry;
  *entry.place = index + 1;
}

static void rise(struct braid_heap *heap, uint32_t index, struct braid_heap_entry entry) {
  while (index > 0) {
    uint32_t parent = (index - 1) / ARITY;
    if (heap->entries[parent].key <= entry.key) break;
    put(heap, index, heap->entries[parent]);
    index = parent;
  }
  put(heap, index, entry);
}

static uint32_t smallest_child(const struct braid_heap *heap, uint32_t index) {
  uint32_t first = index * ARITY + 1, end = first + ARITY;
  if (end > heap->count) end = heap->count;
  uint32_t best = first;
  for (uint32_t child = first + 1; child < end; child++)
    if (heap->entries[child].key < heap->entries[best].key) best = child;
  return best;
}

static void sink(struct braid_heap *heap, uint32_t index, struct braid_heap_entry entry) {
  while (index * ARITY + 1 < heap->count) {
    uint32_t child = smallest_child(heap, index);
    if (heap->entries[child].key >= entry.key) break;
    put(heap, index, heap->entries[child]);
    index = child;
  }
  put(heap, index, entry);
}

bool braid_heap_push(struct braid_heap *heap, int64_t key, uint32_t *place) {
  if (heap->count == heap->capacity) {
    uint32_t capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
    struct braid_heap_entry *entries = realloc(heap->entries, capacity * sizeof *entries);
    if (!entries) return false;
    heap->entries = entries;
    heap->capacity = capacity;
  }
  rise(heap, heap->count++, (struct braid_heap_entry){key, place});
  return true;
}

void braid_heap_remove(struct braid_heap *heap, uint32_t *place) {
  if (*place == 0) return;
  uint32_t index = *place - 1;
  struct braid_heap_entry last = heap->entries[--heap->count];
  *place = 0;
  if (last.place == place) return;
  if (index > 0 && heap->entries[(index - 1) / ARITY].key > last.key)
    rise(heap, index, last);
  else
    sink(heap, index, last);
}

uint32_t *braid_heap_pop(struct braid_heap *heap, int64_t limit) {
  if (heap->count == 0 || heap->entries[0].key > limit) return NULL;
  uint32_t *place = heap->entries[0].place;
  braid_heap_remove(heap, place);
  return place;
}
