/* SPDX-License-Identifier: MIT
 * Blocks of all sizes in one thread; blocks that one thread takes and another one gives back. */
#include "core/base/block.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "core/base/thread.h"
#include "check.h"

enum { LARGEST = BRAID_BLOCK_MOST + 100 };

/* Fills it, so that two of them which overlap are found. */
static void *take(size_t size, unsigned char mark) {
  void *block = braid_block_take(size);
  if (!block) abort();
  memset(block, mark, size);
  return block;
}

static bool is_filled(const void *block, size_t size, unsigned char mark) {
  const unsigned char *bytes = block;
  for (size_t i = 0; i < size; i++)
    if (bytes[i] != mark) return false;
  return true;
}

static void has_room_for_its_size(void) {
  static void *blocks[LARGEST + 1];
  for (int round = 0; round < 3; round++) {
    for (size_t size = 1; size <= LARGEST; size++) blocks[size] = take(size, (unsigned char)size);
    for (size_t size = 1; size <= LARGEST; size++) check(is_filled(blocks[size], size, (unsigned char)size));
    for (size_t size = 1; size <= LARGEST; size++) braid_block_give(blocks[size], size);
  }
  braid_block_trim();
}

static void may_be_given_as_a_smaller_one(void) {
  void *block = take(LARGEST, 1);
  braid_block_give(block, 10);
  for (size_t size = 1; size <= 64; size++) {
    block = take(size, (unsigned char)size);
    check(is_filled(block, size, (unsigned char)size));
    braid_block_give(block, size);
  }
  braid_block_trim();
  braid_block_trim(); /* there is nothing left */
}

/* ---- from thread to thread ------------------------------------------------------------------------------------ */

enum { PLACES = 64, ITEMS = 20000, PAIRS = 2 };

struct passage {
  void *_Atomic places[PLACES];
};

static size_t size_at(uint32_t i) { return 1 + i * 37 % LARGEST; }

static void *give_all(void *argument) {
  struct passage *passage = argument;
  for (uint32_t i = 0; i < ITEMS; i++) {
    void *block;
    while (!(block = atomic_exchange(&passage->places[i % PLACES], NULL))) sched_yield();
    check(is_filled(block, size_at(i), (unsigned char)i));
    braid_block_give(block, size_at(i));
  }
  return NULL; /* what the thread keeps is freed */
}

static void *take_all(void *argument) {
  struct passage *passage = argument;
  for (uint32_t i = 0; i < ITEMS; i++) {
    void *block = take(size_at(i), (unsigned char)i);
    while (atomic_load(&passage->places[i % PLACES])) sched_yield();
    atomic_store(&passage->places[i % PLACES], block);
  }
  return NULL;
}

static void goes_from_thread_to_thread(void) {
  static struct passage passages[PAIRS];
  pthread_t takers[PAIRS], givers[PAIRS];
  for (int i = 0; i < PAIRS; i++) {
    check(braid_thread_start(&takers[i], take_all, &passages[i]) == 0);
    check(braid_thread_start(&givers[i], give_all, &passages[i]) == 0);
  }
  for (int i = 0; i < PAIRS; i++) {
    pthread_join(takers[i], NULL);
    pthread_join(givers[i], NULL);
  }
  braid_block_trim();
}

CHECK_MAIN({"block: has room for its size", has_room_for_its_size},
           {"block: may be given as a smaller one", may_be_given_as_a_smaller_one},
           {"block: goes from thread to thread", goes_from_thread_to_thread})
