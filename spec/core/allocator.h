/* SPDX-License-Identifier: MIT
 * For C tests in which every allocation fails once. A scenario is run again and again: its first allocation fails, then
 * its second, and so on until it comes through. One thread. */
#ifndef BRAID_ALLOCATOR_H
#define BRAID_ALLOCATOR_H

#include "core/base/block.h"
#include "check.h"
#include "failing_memory.h"

/* For what is not to fail: returns what allocator_resume wants. */
static inline long allocator_pause(void) {
  long before = memory.until_failure;
  memory.until_failure = -1;
  return before;
}

static inline void allocator_resume(long before) { memory.until_failure = before; }

/* True: an allocation has failed. */
static inline bool fail_once(bool (*scenario)(void), long which, bool *through) {
  braid_block_give(braid_block_take(BRAID_BLOCK_MOST), BRAID_BLOCK_MOST); /* this thread has a cache for blocks */
  memory.failed = false;
  memory.until_failure = which;
  *through = scenario();
  memory.until_failure = -1;
  braid_block_trim();
  check(memory.living == 0);
  return memory.failed;
}

/* `scenario` returns false when it met a failure. */
static inline void fail_each_once(bool (*scenario)(void)) {
  for (long which = 0;; which++) {
    bool through;
    bool failed = fail_once(scenario, which, &through);
    check(through == !failed);
    if (failed) continue;
    check(which > 0); /* there was something to fail */
    return;
  }
}

/* The same for a scenario that may do without an allocation, or try it again later. */
static inline void survive_each_failure(bool (*scenario)(void)) {
  bool through;
  long which = 0;
  while (fail_once(scenario, which, &through)) which++;
  check(through && which > 0);
}

#endif
