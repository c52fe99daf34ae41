/* SPDX-License-Identifier: MIT
 * An allocator that fails when it is told to. The Makefile links programs so that their malloc, calloc, realloc and
 * free come here. One thread. */
#ifndef BRAID_FAILING_MEMORY_H
#define BRAID_FAILING_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);

static struct {
  long until_failure; /* allocations that succeed before one fails; negative: none does */
  bool for_good;      /* and all that follow */
  bool failed;
  long living; /* blocks that have not been freed */
} memory = {.until_failure = -1};

static inline bool memory_refuses(void) {
  if (memory.until_failure < 0) return false;
  if (memory.until_failure > 0) {
    memory.until_failure--;
    return false;
  }
  if (!memory.for_good) memory.until_failure = -1;
  memory.failed = true;
  errno = ENOMEM;
  return true;
}

static inline void *memory_count(void *block) {
  memory.living += block != NULL;
  return block;
}

void *__wrap_malloc(size_t size) { return memory_refuses() ? NULL : memory_count(__real_malloc(size)); }

void *__wrap_calloc(size_t number, size_t size) {
  return memory_refuses() ? NULL : memory_count(__real_calloc(number, size));
}

void *__wrap_realloc(void *old, size_t size) {
  if (memory_refuses()) return NULL;
  void *block = __real_realloc(old, size);
  return old ? block : memory_count(block);
}

void __wrap_free(void *block) {
  memory.living -= block != NULL;
  __real_free(block);
}

#endif
