/* SPDX-License-Identifier: MIT
 * For C tests in which every allocation fails once. The Makefile links them so that the core's malloc, calloc, realloc
 * and free come here. A scenario is run again and again: its first allocation fails, then its second, and so on until
 * it comes through. One thread. */
#ifndef BRAID_ALLOCATOR_H
#define BRAID_ALLOCATOR_H

#include <errno.h>

#include "core/base/block.h"
#include "check.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);

static long until_failure; /* allocations that succeed before one fails */
static long living;        /* blocks that have not been freed */

static inline bool refuse(void) {
  if (until_failure < 0 || until_failure-- > 0) return false;
  errno = ENOMEM;
  return true;
}

static inline void *count(void *memory) {
  living += memory != NULL;
  return memory;
}

void *__wrap_malloc(size_t size) { return refuse() ? NULL : count(__real_malloc(size)); }

void *__wrap_calloc(size_t number, size_t size) { return refuse() ? NULL : count(__real_calloc(number, size)); }

void *__wrap_realloc(void *old, size_t size) {
  if (refuse()) return NULL;
  void *memory = __real_realloc(old, size);
  return old ? memory : count(memory);
}

void __wrap_free(void *memory) {
  living -= memory != NULL;
  __real_free(memory);
}

/* For what is not to fail: returns what allocator_resume wants. */
static inline long allocator_pause(void) {
  long before = until_failure;
  until_failure = -1;
  return before;
}

static inline void allocator_resume(long before) { until_failure = before; }

/* True: an allocation has failed. */
static inline bool fail_once(bool (*scenario)(void), long which, bool *through) {
  braid_block_give(braid_block_take(BRAID_BLOCK_MOST), BRAID_BLOCK_MOST); /* this thread has a cache for blocks */
  until_failure = which;
  *through = scenario();
  bool failed = until_failure < 0;
  until_failure = -1;
  braid_block_trim();
  check(living == 0);
  return failed;
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
