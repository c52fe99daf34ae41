/* SPDX-License-Identifier: MIT
 * See the header. The functions that begin with __tsan_ have the names and arguments that GCC and clang call. Functions
 * of libc are not instrumented; of these the mutexes are counted, by wrapping them in the linker. */
#include "lines.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 1 << 20, NAMES = 256 };

struct line {
  atomic_uintptr_t number; /* the address divided by the size of a line; 0: the slot is free */
  atomic_uint reads[LINES_GROUPS], writes[LINES_GROUPS];
};

static struct line *lines;
static atomic_bool counting;
static _Thread_local int group = -1;
static struct {
  uintptr_t first, end;
  const char *name;
} names[NAMES];
static int name_count;

static struct line *line_of(uintptr_t number) {
  size_t at = (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (SLOTS - 1);
  for (;; at = (at + 1) & (SLOTS - 1)) {
    uintptr_t found = atomic_load_explicit(&lines[at].number, memory_order_relaxed);
    if (found == number) return &lines[at];
    if (found == 0 && atomic_compare_exchange_strong(&lines[at].number, &found, number)) return &lines[at];
    if (found == number) return &lines[at];
  }
}

static void touch(const volatile void *at, size_t size, bool writes) {
  if (group < 0 || !atomic_load_explicit(&counting, memory_order_relaxed)) return;
  uintptr_t first = (uintptr_t)at / LINES_BYTES, last = ((uintptr_t)at + (size ? size - 1 : 0)) / LINES_BYTES;
  for (uintptr_t number = first; number <= last; number++) {
    struct line *line = line_of(number);
    atomic_fetch_add_explicit(writes ? &line->writes[group] : &line->reads[group], 1, memory_order_relaxed);
  }
}

void lines_join(int number) { group = number; }

void lines_begin(void) {
  if (!lines) lines = calloc(SLOTS, sizeof *lines);
  for (size_t i = 0; i < SLOTS; i++) lines[i] = (struct line){0};
  name_count = 0;
  atomic_store(&counting, true);
}

void lines_end(void) { atomic_store(&counting, false); }

void lines_name(const void *at, size_t size, const char *name) {
  if (name_count == NAMES) return;
  names[name_count].first = (uintptr_t)at;
  names[name_count].end = (uintptr_t)at + size;
  names[name_count++].name = name;
}

static void print_owners(uintptr_t number) {
  uintptr_t first = number * LINES_BYTES, end = first + LINES_BYTES;
  for (int i = 0; i < name_count; i++) {
    if (names[i].end <= first || names[i].first >= end) continue;
    long offset = (long)(first - names[i].first);
    printf(" %s%+ld", names[i].name, offset);
  }
}

/* Whether one group writes it and another one touches it more than `least` times. */
static bool is_shared(struct line *line, unsigned least) {
  bool written = false;
  int users = 0;
  for (int i = 0; i < LINES_GROUPS; i++) {
    unsigned writes = atomic_load(&line->writes[i]), touches = writes + atomic_load(&line->reads[i]);
    written = written || writes > 0;
    users += touches > least;
  }
  return written && users > 1;
}

static void print_line(uintptr_t number, struct line *line, bool often) {
  printf("  line %#lx%s, reads and writes:", (unsigned long)(number * LINES_BYTES), often ? "" : " (rarely)");
  for (int g = 0; g < LINES_GROUPS; g++)
    if (atomic_load(&line->reads[g]) + atomic_load(&line->writes[g]) > 0)
      printf("  group %d: %u, %u", g, atomic_load(&line->reads[g]), atomic_load(&line->writes[g]));
  print_owners(number);
  printf("\n");
}

struct lines_shared lines_tell(int most, unsigned rare) {
  struct lines_shared shared = {0};
  for (size_t i = 0; i < SLOTS; i++) {
    uintptr_t number = atomic_load(&lines[i].number);
    if (!number || !is_shared(&lines[i], 0)) continue;
    bool often = is_shared(&lines[i], rare);
    if (often)
      shared.often++;
    else
      shared.rarely++;
    if (shared.often + shared.rarely <= most) print_line(number, &lines[i], often);
  }
  return shared;
}

int lines_count(void) {
  int count = 0;
  for (size_t i = 0; i < SLOTS; i++) count += atomic_load(&lines[i].number) != 0;
  return count;
}

/* ---- what the compiler calls ----------------------------------------------------------------------------------- */

#define ACCESS(size)                                                               \
  void __tsan_read##size(void *at);                                                \
  void __tsan_write##size(void *at);                                               \
  void __tsan_read##size(void *at) { touch(at, size, false); }                     \
  void __tsan_write##size(void *at) { touch(at, size, true); }                     \
  void __tsan_unaligned_read##size(void *at);                                      \
  void __tsan_unaligned_write##size(void *at);                                     \
  void __tsan_unaligned_read##size(void *at) { touch(at, size, false); }           \
  void __tsan_unaligned_write##size(void *at) { touch(at, size, true); }           \
  void __tsan_volatile_read##size(void *at);                                       \
  void __tsan_volatile_write##size(void *at);                                      \
  void __tsan_volatile_read##size(void *at) { touch(at, size, false); }            \
  void __tsan_volatile_write##size(void *at) { touch(at, size, true); }
ACCESS(1) ACCESS(2) ACCESS(4) ACCESS(8) ACCESS(16)

#define ATOMIC(bits, type)                                                                                        \
  type __tsan_atomic##bits##_load(const volatile type *at, int order);                                            \
  type __tsan_atomic##bits##_load(const volatile type *at, int order) {                                           \
    (void)order;                                                                                                  \
    touch(at, sizeof(type), false);                                                                               \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                                 \
  }                                                                                                               \
  void __tsan_atomic##bits##_store(volatile type *at, type value, int order);                                     \
  void __tsan_atomic##bits##_store(volatile type *at, type value, int order) {                                    \
    (void)order;                                                                                                  \
    touch(at, sizeof(type), true);                                                                                \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                                \
  }                                                                                                               \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type *at, type *expected, type value, int a, int b); \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type *at, type *expected, type value, int a, int b) { \
    (void)a, (void)b;                                                                                             \
    touch(at, sizeof(type), true);                                                                                \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);           \
  }                                                                                                               \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type *at, type *expected, type value, int a, int b);   \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type *at, type *expected, type value, int a, int b) {  \
    return __tsan_atomic##bits##_compare_exchange_strong(at, expected, value, a, b);                              \
  }
ATOMIC(8, uint8_t) ATOMIC(16, uint16_t) ATOMIC(32, uint32_t) ATOMIC(64, uint64_t)

#define CHANGE(bits, type, name, function)                                             \
  type __tsan_atomic##bits##_##name(volatile type *at, type value, int order);         \
  type __tsan_atomic##bits##_##name(volatile type *at, type value, int order) {        \
    (void)order;                                                                       \
    touch(at, sizeof(type), true);                                                     \
    return function(at, value, __ATOMIC_SEQ_CST);                                      \
  }
#define CHANGES(bits, type)                                    \
  CHANGE(bits, type, exchange, __atomic_exchange_n)            \
  CHANGE(bits, type, fetch_add, __atomic_fetch_add)            \
  CHANGE(bits, type, fetch_sub, __atomic_fetch_sub)            \
  CHANGE(bits, type, fetch_and, __atomic_fetch_and)            \
  CHANGE(bits, type, fetch_or, __atomic_fetch_or)
CHANGES(8, uint8_t) CHANGES(16, uint16_t) CHANGES(32, uint32_t) CHANGES(64, uint64_t)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_read_range(void *at, size_t size);
void __tsan_write_range(void *at, size_t size);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);
void __tsan_init(void) {}
void __tsan_func_entry(void *pc) { (void)pc; }
void __tsan_func_exit(void) {}
void __tsan_read_range(void *at, size_t size) { touch(at, size, false); }
void __tsan_write_range(void *at, size_t size) { touch(at, size, true); }
void __tsan_atomic_thread_fence(int order) {
  (void)order;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int order) { (void)order; }

#define MUTEX(name)                                     \
  int __real_pthread_mutex_##name(pthread_mutex_t *m);  \
  int __wrap_pthread_mutex_##name(pthread_mutex_t *m);  \
  int __wrap_pthread_mutex_##name(pthread_mutex_t *m) { \
    touch(m, sizeof *m, true);                          \
    return __real_pthread_mutex_##name(m);              \
  }
MUTEX(lock) MUTEX(trylock) MUTEX(unlock)
