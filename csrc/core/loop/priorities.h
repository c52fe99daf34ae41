/* SPDX-License-Identifier: MIT
 * Random priorities of whatever waits to go on, for a test's schedule: the greatest goes first. A hash table with the
 * address as its key. The owner's thread; nothing blocks. */
#ifndef BRAID_PRIORITIES_H
#define BRAID_PRIORITIES_H

#include "core/base/base.h"

struct braid_priority {
  const void *whose; /* NULL: the slot is free */
  uint64_t rank;
};

struct braid_priorities {
  struct braid_priority *slots;
  size_t count, capacity; /* the capacity is a power of two */
  uint64_t lowest;        /* lower than every rank so far */
};

void braid_priorities_init(struct braid_priorities *priorities);
void braid_priorities_term(struct braid_priorities *priorities);

/* Forgets all. */
void braid_priorities_clear(struct braid_priorities *priorities);

/* Its rank; `random` makes it when it has none yet. When memory is out, the rank is not kept. */
uint64_t braid_priorities_rank(struct braid_priorities *priorities, const void *whose, uint32_t random);
bool braid_priorities_has(const struct braid_priorities *priorities, const void *whose);

/* From now on it comes after all others. */
void braid_priorities_lower(struct braid_priorities *priorities, const void *whose);

/* It has ended; another may come to have its address. */
void braid_priorities_forget(struct braid_priorities *priorities, const void *whose);

#endif
