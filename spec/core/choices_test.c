/* SPDX-License-Identifier: MIT
 * Decisions of a test's schedule: they repeat, and all of them are found; priorities against a model. */
#include "core/loop/choices.h"

#include "check.h"
#include "core/loop/priorities.h"

static void repeats_by_its_seed(void) {
  enum { COUNT = 1000 };
  struct braid_choices choices;
  uint32_t first[COUNT];
  braid_choices_init(&choices);
  braid_choices_seed(&choices, 7);
  for (uint32_t i = 0; i < COUNT; i++) first[i] = braid_choices_make(&choices, i % 9 + 1);
  braid_choices_seed(&choices, 7);
  for (uint32_t i = 0; i < COUNT; i++) check(braid_choices_make(&choices, i % 9 + 1) == first[i]);
  braid_choices_repeat(&choices, choices.count / 2);
  size_t made = 0;
  for (uint32_t i = 0; i < COUNT; i++) {
    bool given = braid_choices_are_given(&choices) && choices.count < choices.given;
    uint32_t choice = braid_choices_make(&choices, i % 9 + 1);
    check(choice == (given ? first[i] : 0));
    made += i % 9 > 0;
  }
  check(choices.count == made && !choices.strayed && !choices.incomplete);
  braid_choices_term(&choices);
}

static void bounds_hold(void) {
  struct braid_choices choices;
  uint32_t seen = 0;
  braid_choices_init(&choices);
  braid_choices_seed(&choices, 1);
  for (int i = 0; i < 1000; i++) {
    uint32_t choice = braid_choices_make(&choices, 5);
    check(choice < 5);
    seen |= UINT32_C(1) << choice;
  }
  check(seen == 31);
  braid_choices_repeat(&choices, 0);
  check(braid_choices_give(&choices, 9));
  braid_choices_repeat(&choices, 1);
  check(braid_choices_make(&choices, 3) == 2 && choices.strayed);
  braid_choices_term(&choices);
}

/* Three threads of control, with so many steps each: every order is found once. */
static void finds_all(void) {
  struct braid_choices choices;
  int count = 0;
  braid_choices_init(&choices);
  braid_choices_repeat(&choices, 0);
  do {
    uint32_t left[] = {2, 2, 1}, total = 5;
    for (; total > 0; total--) {
      uint32_t ready[3], some = 0;
      for (uint32_t i = 0; i < 3; i++)
        if (left[i] > 0) ready[some++] = i;
      left[ready[braid_choices_make(&choices, some)]]--;
    }
    count++;
  } while (braid_choices_advance(&choices));
  check(count == 30); /* 5! / (2! 2! 1!) */
  braid_choices_term(&choices);
}

static void priorities_keep_what_they_are_given(void) {
  enum { OWNERS = 500, STEPS = 100000 };
  static int owners[OWNERS];
  static uint64_t ranks[OWNERS];
  struct braid_priorities priorities;
  uint32_t random = 5;
  braid_priorities_init(&priorities);
  for (int i = 0; i < STEPS; i++) {
    uint32_t which = check_random(&random) % OWNERS, what = check_random(&random) % 4;
    check(braid_priorities_has(&priorities, &owners[which]) == (ranks[which] != 0));
    if (what == 0) {
      braid_priorities_forget(&priorities, &owners[which]);
      ranks[which] = 0;
    } else if (what == 1 && ranks[which]) {
      uint64_t lowest = priorities.lowest;
      braid_priorities_lower(&priorities, &owners[which]);
      ranks[which] = braid_priorities_rank(&priorities, &owners[which], 0);
      check(ranks[which] < lowest);
    } else {
      uint64_t rank = braid_priorities_rank(&priorities, &owners[which], check_random(&random));
      check(ranks[which] == 0 || rank == ranks[which]);
      ranks[which] = rank;
    }
  }
  braid_priorities_clear(&priorities);
  for (int i = 0; i < OWNERS; i++) check(!braid_priorities_has(&priorities, &owners[i]));
  braid_priorities_term(&priorities);
}

CHECK_MAIN({"choices: repeat by their seed, and from a list", repeats_by_its_seed},
           {"choices: stay within their bounds", bounds_hold},
           {"choices: all schedules are found, each once", finds_all},
           {"priorities: keep what they are given", priorities_keep_what_they_are_given})
