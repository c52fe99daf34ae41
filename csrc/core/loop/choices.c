/* SPDX-License-Identifier: MIT
 * A decision from one candidate is none, and is not recorded. */
#include "core/loop/choices.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 256, MOST = 1 << 22 };

void braid_choices_init(struct braid_choices *choices) { *choices = (struct braid_choices){0}; }

void braid_choices_term(struct braid_choices *choices) {
  free(choices->made);
  free(choices->most);
  braid_choices_init(choices);
}

static void begin(struct braid_choices *choices, size_t given) {
  choices->count = 0;
  choices->given = given;
  choices->incomplete = choices->strayed = false;
}

void braid_choices_seed(struct braid_choices *choices, uint64_t seed) {
  begin(choices, 0);
  choices->random = seed;
  choices->first_only = false;
}

void braid_choices_repeat(struct braid_choices *choices, size_t given) {
  begin(choices, given);
  choices->random = 0;
  choices->first_only = true;
}

static bool make_room(struct braid_choices *choices) {
  if (choices->count < choices->capacity) return true;
  size_t capacity = choices->capacity ? choices->capacity * 2 : FIRST_CAPACITY;
  if (capacity > MOST) return false;
  uint32_t *made = realloc(choices->made, capacity * sizeof *made);
  if (!made) return false;
  choices->made = made;
  uint32_t *most = realloc(choices->most, capacity * sizeof *most);
  if (!most) return false;
  choices->most = most;
  choices->capacity = capacity;
  return true;
}

bool braid_choices_give(struct braid_choices *choices, uint32_t choice) {
  if (!make_room(choices)) return false;
  choices->made[choices->count++] = choice;
  return true;
}

bool braid_choices_advance(struct braid_choices *choices) {
  if (choices->incomplete) return false;
  size_t last = choices->count;
  while (last > 0 && choices->made[last - 1] + 1 >= choices->most[last - 1]) last--;
  if (last == 0) return false;
  choices->made[last - 1]++;
  braid_choices_repeat(choices, last);
  return true;
}

/* splitmix64 */
uint32_t braid_choices_random(struct braid_choices *choices, uint32_t count) {
  uint64_t x = choices->random += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  x ^= x >> 31;
  return (uint32_t)(((x >> 32) * count) >> 32);
}

void braid_choices_record(struct braid_choices *choices, uint32_t choice, uint32_t count) {
  if (count < 2) return;
  if (choices->incomplete || !make_room(choices)) {
    choices->incomplete = true;
    return;
  }
  choices->made[choices->count] = choice;
  choices->most[choices->count++] = count;
}

uint32_t braid_choices_make(struct braid_choices *choices, uint32_t count) {
  if (count < 2) return 0;
  uint32_t choice = 0;
  if (choices->count < choices->given) {
    choice = choices->made[choices->count];
    if (choice >= count) {
      choices->strayed = true;
      choice = count - 1;
    }
  } else if (!choices->first_only) {
    choice = braid_choices_random(choices, count);
  }
  braid_choices_record(choices, choice, count);
  return choice;
}
