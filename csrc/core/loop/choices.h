/* SPDX-License-Identifier: MIT
 * The decisions of one schedule of a test: which of several ready tasks goes on, which ready case a select takes. They
 * are made at random, or repeated from a list, and are recorded. The first candidate is the one that the ordinary
 * scheduler would take. The owner's thread; nothing blocks. */
#ifndef BRAID_CHOICES_H
#define BRAID_CHOICES_H

#include "core/base/base.h"

struct braid_choices {
  uint64_t random;       /* the generator's state */
  uint32_t *made, *most; /* the decisions, and from how many candidates each was */
  size_t count, capacity;
  size_t given;    /* so many decisions are repeated from `made` */
  bool first_only; /* after them the first candidate is taken; else a random one */
  bool incomplete; /* there was no memory to record all, or they were too many */
  bool strayed;    /* a repeated decision did not fit: the program does not repeat itself */
};

void braid_choices_init(struct braid_choices *choices);
void braid_choices_term(struct braid_choices *choices);

/* Begins a schedule of random decisions. */
void braid_choices_seed(struct braid_choices *choices, uint64_t seed);

/* Begins a schedule with the first `given` decisions of the last one; after them the first candidate is taken. */
void braid_choices_repeat(struct braid_choices *choices, size_t given);

/* Sets a decision that is to be repeated. False when memory is out. */
bool braid_choices_give(struct braid_choices *choices, uint32_t choice);

/* Begins the next of all schedules, depth first. False when there is none. */
bool braid_choices_advance(struct braid_choices *choices);

/* A random number below `count`, which is not 0; it is no decision. */
uint32_t braid_choices_random(struct braid_choices *choices, uint32_t count);

/* Decides: returns a number below `count`. */
uint32_t braid_choices_make(struct braid_choices *choices, uint32_t count);

/* Whether the next decision is prescribed, by a repetition. */
static inline bool braid_choices_are_given(const struct braid_choices *choices) {
  return choices->count < choices->given || choices->first_only;
}

/* Records a decision that the caller has made. */
void braid_choices_record(struct braid_choices *choices, uint32_t choice, uint32_t count);

#endif
