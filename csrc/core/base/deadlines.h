/* SPDX-License-Identifier: MIT
 * A set of deadlines, from which the earliest is taken. Most deadlines come in rising order, because a program waits
 * for few different lengths of time. These are kept in a few sorted *runs*, where adding, removing and taking cost the
 * same however many there are, and do not touch the owners of other deadlines. The rest is in a heap.
 *
 * The owner of a deadline has a number `place`, which tells where it is (0: nowhere). The address of that number
 * identifies the deadline. There is no lock: only the owner's thread may use it. */
#ifndef BRAID_DEADLINES_H
#define BRAID_DEADLINES_H

#include "core/base/heap.h"

enum { BRAID_RUNS = 3 };

/* A ring of entries whose keys rise. An entry that was removed has no place; the first and the last are never such. */
struct braid_run {
  struct braid_heap_entry *entries;
  uint32_t first, end; /* counted on for ever; an index is one of them modulo the capacity, a power of two */
  uint32_t capacity, live;
};

struct braid_deadlines {
  struct braid_run runs[BRAID_RUNS];
  struct braid_heap heap;
  uint32_t count;
};

void braid_deadlines_init(struct braid_deadlines *deadlines);
void braid_deadlines_term(struct braid_deadlines *deadlines);

/* False when memory is out; nothing has changed then. */
bool braid_deadlines_push(struct braid_deadlines *deadlines, int64_t key, uint32_t *place);

/* Removes the deadline; does nothing when it is not in the set. */
void braid_deadlines_remove(struct braid_deadlines *deadlines, uint32_t *place);

/* Removes the earliest deadline if it is at most `limit`, and returns its place; else NULL. */
uint32_t *braid_deadlines_pop(struct braid_deadlines *deadlines, int64_t limit);

/* The place of the earliest deadline, which stays; NULL if there is none. `key` gets the deadline, or INT64_MAX. */
uint32_t *braid_deadlines_peek(const struct braid_deadlines *deadlines, int64_t *key);

static inline int64_t braid_deadlines_first(const struct braid_deadlines *deadlines) {
  int64_t key;
  braid_deadlines_peek(deadlines, &key);
  return key;
}

#endif
