/* SPDX-License-Identifier: MIT
 * The upper two bits of a place are the number of a run, from 1, and the rest is an index there, plus one; 0: the place
 * is the heap's. A deadline goes to the run whose last key is the greatest that it does not precede: so runs of
 * different lengths of time stay apart. */
#include "core/base/deadlines.h"

#include <stdlib.h>

enum { SHIFT = 30, FIRST_CAPACITY = 64, MOST_KEPT = 1024 };

void braid_deadlines_init(struct braid_deadlines *deadlines) { *deadlines = (struct braid_deadlines){0}; }

void braid_deadlines_term(struct braid_deadlines *deadlines) {
  for (int i = 0; i < BRAID_RUNS; i++) free(deadlines->runs[i].entries);
  braid_heap_term(&deadlines->heap);
  braid_deadlines_init(deadlines);
}

/* ---- a run ---------------------------------------------------------------------------------------------------- */

static struct braid_heap_entry *entry_at(const struct braid_run *run, uint32_t number) {
  return &run->entries[number & (run->capacity - 1)];
}

static uint32_t place_at(uint32_t which, const struct braid_run *run, uint32_t number) {
  return which << SHIFT | ((number & (run->capacity - 1)) + 1);
}

/* Moves what is left to the front, into `entries` of this capacity. */
static void move(struct braid_run *run, uint32_t which, struct braid_heap_entry *entries, uint32_t capacity) {
  struct braid_run moved = {.entries = entries, .capacity = capacity, .live = run->live};
  for (uint32_t at = run->first; at != run->end; at++) {
    struct braid_heap_entry entry = *entry_at(run, at);
    if (!entry.place) continue;
    *entry_at(&moved, moved.end) = entry;
    *entry.place = place_at(which, &moved, moved.end++);
  }
  free(run->entries);
  *run = moved;
}

/* Makes room: by leaving out removed entries if they are most of the run, else by doubling it. */
static bool make_room(struct braid_run *run, uint32_t which) {
  if (run->end - run->first < run->capacity) return true;
  uint32_t capacity = !run->capacity                   ? FIRST_CAPACITY
                      : run->live <= run->capacity / 2 ? run->capacity
                                                       : run->capacity * 2;
  if (capacity >> (SHIFT - 1)) return false;
  struct braid_heap_entry *entries = malloc(capacity * sizeof *entries);
  if (!entries) return false;
  move(run, which, entries, capacity);
  return true;
}

static void empty(struct braid_run *run) {
  run->first = run->end = 0;
  if (run->capacity <= MOST_KEPT) return;
  free(run->entries);
  *run = (struct braid_run){0};
}

static void remove_from(struct braid_run *run, uint32_t number) {
  entry_at(run, number)->place = NULL;
  if (--run->live == 0) {
    empty(run);
    return;
  }
  while (!entry_at(run, run->first)->place) run->first++;
  while (!entry_at(run, run->end - 1)->place) run->end--;
}

/* The run that takes the key, or NULL. An empty run is the last choice. */
static struct braid_run *choose(struct braid_deadlines *deadlines, int64_t key) {
  struct braid_run *best = NULL, *unused = NULL;
  int64_t latest = INT64_MIN;
  for (int i = 0; i < BRAID_RUNS; i++) {
    struct braid_run *run = &deadlines->runs[i];
    if (run->live == 0) {
      unused = run;
      continue;
    }
    int64_t last = entry_at(run, run->end - 1)->key;
    if (last > key || last < latest) continue;
    latest = last;
    best = run;
  }
  return best ? best : unused;
}

/* ---- the set -------------------------------------------------------------------------------------------------- */

bool braid_deadlines_push(struct braid_deadlines *deadlines, int64_t key, uint32_t *place) {
  struct braid_run *run = choose(deadlines, key);
  if (run) {
    uint32_t which = (uint32_t)(run - deadlines->runs) + 1;
    if (!make_room(run, which)) return false;
    *entry_at(run, run->end) = (struct braid_heap_entry){key, place};
    *place = place_at(which, run, run->end++);
    run->live++;
  } else if (!braid_heap_push(&deadlines->heap, key, place)) {
    return false;
  }
  deadlines->count++;
  return true;
}

void braid_deadlines_remove(struct braid_deadlines *deadlines, uint32_t *place) {
  if (*place == 0) return;
  deadlines->count--;
  uint32_t which = *place >> SHIFT;
  if (which == 0) {
    braid_heap_remove(&deadlines->heap, place);
    return;
  }
  uint32_t index = (*place & ((UINT32_C(1) << SHIFT) - 1)) - 1;
  *place = 0;
  remove_from(&deadlines->runs[which - 1], index);
}

uint32_t *braid_deadlines_peek(const struct braid_deadlines *deadlines, int64_t *key) {
  const struct braid_heap *heap = &deadlines->heap;
  uint32_t *place = heap->count > 0 ? heap->entries[0].place : NULL;
  *key = braid_heap_first(heap);
  for (int i = 0; i < BRAID_RUNS; i++) {
    const struct braid_run *run = &deadlines->runs[i];
    if (run->live == 0) continue;
    const struct braid_heap_entry *first = entry_at(run, run->first);
    if (place && first->key >= *key) continue;
    *key = first->key;
    place = first->place;
  }
  return place;
}

uint32_t *braid_deadlines_pop(struct braid_deadlines *deadlines, int64_t limit) {
  if (deadlines->count == 0) return NULL;
  int64_t first;
  uint32_t *place = braid_deadlines_peek(deadlines, &first);
  if (first > limit) return NULL;
  braid_deadlines_remove(deadlines, place);
  return place;
}
