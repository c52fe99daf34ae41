/* SPDX-License-Identifier: MIT
 * Open addressing with linear probing. A removed slot is filled by the next one that may stand there. */
#include "core/loop/priorities.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

#define LOWEST_AT_FIRST (UINT64_C(1) << 32)

void braid_priorities_init(struct braid_priorities *priorities) {
  *priorities = (struct braid_priorities){.lowest = LOWEST_AT_FIRST};
}

void braid_priorities_term(struct braid_priorities *priorities) {
  free(priorities->slots);
  braid_priorities_init(priorities);
}

void braid_priorities_clear(struct braid_priorities *priorities) {
  if (priorities->slots) memset(priorities->slots, 0, priorities->capacity * sizeof *priorities->slots);
  priorities->count = 0;
  priorities->lowest = LOWEST_AT_FIRST;
}

static size_t home_of(const struct braid_priorities *priorities, const void *whose) {
  return (size_t)(((uint64_t)(uintptr_t)whose * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (priorities->capacity - 1);
}

/* The slot with this address, or the free one where it would stand. */
static struct braid_priority *slot_of(const struct braid_priorities *priorities, const void *whose) {
  size_t at = home_of(priorities, whose);
  while (priorities->slots[at].whose && priorities->slots[at].whose != whose)
    at = (at + 1) & (priorities->capacity - 1);
  return &priorities->slots[at];
}

static bool make_room(struct braid_priorities *priorities) {
  if (priorities->count * 2 < priorities->capacity) return true;
  struct braid_priorities larger = *priorities;
  larger.capacity = priorities->capacity ? priorities->capacity * 2 : FIRST_CAPACITY;
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (!larger.slots) return false;
  for (size_t i = 0; i < priorities->capacity; i++)
    if (priorities->slots[i].whose) *slot_of(&larger, priorities->slots[i].whose) = priorities->slots[i];
  free(priorities->slots);
  *priorities = larger;
  return true;
}

bool braid_priorities_has(const struct braid_priorities *priorities, const void *whose) {
  return priorities->capacity > 0 && slot_of(priorities, whose)->whose;
}

uint64_t braid_priorities_rank(struct braid_priorities *priorities, const void *whose, uint32_t random) {
  uint64_t rank = 2 * LOWEST_AT_FIRST + random;
  if (!make_room(priorities)) return rank;
  struct braid_priority *slot = slot_of(priorities, whose);
  if (slot->whose) return slot->rank;
  *slot = (struct braid_priority){whose, rank};
  priorities->count++;
  return rank;
}

void braid_priorities_lower(struct braid_priorities *priorities, const void *whose) {
  if (braid_priorities_has(priorities, whose)) slot_of(priorities, whose)->rank = --priorities->lowest;
}

void braid_priorities_forget(struct braid_priorities *priorities, const void *whose) {
  if (!braid_priorities_has(priorities, whose)) return;
  size_t mask = priorities->capacity - 1, hole = (size_t)(slot_of(priorities, whose) - priorities->slots);
  for (size_t at = (hole + 1) & mask; priorities->slots[at].whose; at = (at + 1) & mask) {
    size_t home = home_of(priorities, priorities->slots[at].whose);
    if (((at - home) & mask) < ((at - hole) & mask)) continue; /* it may not stand before its home */
    priorities->slots[hole] = priorities->slots[at];
    hole = at;
  }
  priorities->slots[hole].whose = NULL;
  priorities->count--;
}
