/* SPDX-License-Identifier: MIT
 * Each block is a piece of malloc's memory of its own. Blocks of one class have at least the same size. A thread has
 * two lists of free blocks for each class: `some`, and a full batch or none. So a thread that gives and takes in turn
 * keeps to itself. A second full batch goes to the depot, where a thread without blocks finds it. Mutexes of the depot
 * are only tried: where one is not free the block goes to malloc, or comes from there. */
#include "core/base/block.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/thread.h"

enum {
  LEAST = 64,   /* bytes: the smallest class */
  CLASSES = 21, /* four to each power of two, up to BRAID_BLOCK_MOST */
  BATCH = 32,   /* blocks */
  DEPOT = 32    /* batches of each class */
};

#if defined(__SANITIZE_ADDRESS__) /* it shall see who uses what has been given back */
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

struct block {
  struct block *next;
};

struct shelf { /* of one class, in one thread */
  struct block *some, *batch;
  unsigned count; /* of `some`: below BATCH */
};

struct cache {
  struct shelf shelves[CLASSES];
};

static struct depot {
  pthread_mutex_t mutex;
  atomic_uint count; /* changed inside the mutex */
  struct block *batches[DEPOT];
} depots[CLASSES];

static BRAID_THREAD_LOCAL struct cache *here;
static pthread_key_t key;
static bool has_key;

/* ---- classes -------------------------------------------------------------------------------------------------- */

static unsigned class_of(size_t size) {
  if (size <= LEAST) return 0;
  unsigned log = (unsigned)(sizeof(unsigned long) * 8 - 1) - (unsigned)__builtin_clzl(size - 1);
  return (log - 6) * 4 + ((unsigned)((size - 1) >> (log - 2)) & 3) + 1;
}

static size_t size_of(unsigned class) {
  return class == 0 ? LEAST : (size_t)((class - 1) % 4 + 5) << ((class - 1) / 4 + 4);
}

/* ---- the thread's cache --------------------------------------------------------------------------------------- */

static void free_all(struct block *blocks) {
  for (struct block *next; blocks; blocks = next) {
    next = blocks->next;
    free(blocks);
  }
}

static void free_cache(void *memory) {
  struct cache *cache = memory;
  here = NULL;
  for (unsigned i = 0; i < CLASSES; i++) {
    free_all(cache->shelves[i].some);
    free_all(cache->shelves[i].batch);
  }
  free(cache);
}

/* The library stays: a thread may end after the state that it ran. */
static void begin(void) {
  braid_thread_pin();
  for (unsigned i = 0; i < CLASSES; i++) pthread_mutex_init(&depots[i].mutex, NULL);
  has_key = pthread_key_create(&key, free_cache) == 0;
}

/* NULL: nothing is kept. */
static struct cache *open_cache(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!KEEPS) return NULL;
  pthread_once(&once, begin);
  struct cache *cache = has_key ? calloc(1, sizeof *cache) : NULL;
  if (cache && pthread_setspecific(key, cache) != 0) {
    free(cache);
    cache = NULL;
  }
  here = cache;
  return cache;
}

static inline struct shelf *shelf_of(unsigned class) {
  struct cache *cache = here ? here : open_cache();
  return cache ? &cache->shelves[class] : NULL;
}

/* ---- the depot ------------------------------------------------------------------------------------------------ */

/* False: it has no place for the batch, or is in use. */
static bool deliver(struct depot *depot, struct block *batch) {
  if (pthread_mutex_trylock(&depot->mutex) != 0) return false;
  unsigned count = atomic_load_explicit(&depot->count, memory_order_relaxed);
  if (count < DEPOT) {
    depot->batches[count] = batch;
    atomic_store_explicit(&depot->count, count + 1, memory_order_relaxed);
  }
  pthread_mutex_unlock(&depot->mutex);
  return count < DEPOT;
}

/* A batch, or NULL. */
static struct block *fetch(struct depot *depot) {
  if (atomic_load_explicit(&depot->count, memory_order_relaxed) == 0) return NULL;
  if (pthread_mutex_trylock(&depot->mutex) != 0) return NULL;
  unsigned count = atomic_load_explicit(&depot->count, memory_order_relaxed);
  struct block *batch = count > 0 ? depot->batches[count - 1] : NULL;
  if (batch) atomic_store_explicit(&depot->count, count - 1, memory_order_relaxed);
  pthread_mutex_unlock(&depot->mutex);
  return batch;
}

/* ---- take and give -------------------------------------------------------------------------------------------- */

/* There is none in `some`. */
static bool refill(struct shelf *shelf, unsigned class) {
  struct block *batch = shelf->batch;
  shelf->batch = NULL;
  if (!batch) batch = fetch(&depots[class]);
  shelf->some = batch;
  shelf->count = batch ? BATCH : 0;
  return batch != NULL;
}

void *braid_block_take(size_t size) {
  if (size > BRAID_BLOCK_MOST) return malloc(size);
  unsigned class = class_of(size);
  struct shelf *shelf = shelf_of(class);
  if (!shelf || (!shelf->some && !refill(shelf, class))) return malloc(size_of(class));
  struct block *block = shelf->some;
  shelf->some = block->next;
  shelf->count--;
  return block;
}

/* `some` is a full batch. */
static void put_away(struct shelf *shelf, unsigned class) {
  if (shelf->batch && !deliver(&depots[class], shelf->batch)) free_all(shelf->batch);
  shelf->batch = shelf->some;
  shelf->some = NULL;
  shelf->count = 0;
}

void braid_block_give(void *memory, size_t size) {
  unsigned class = size <= BRAID_BLOCK_MOST ? class_of(size) : CLASSES;
  struct shelf *shelf = class < CLASSES ? shelf_of(class) : NULL;
  if (!shelf) {
    free(memory);
    return;
  }
  struct block *block = memory;
  block->next = shelf->some;
  shelf->some = block;
  if (++shelf->count == BATCH) put_away(shelf, class);
}

void braid_block_trim(void) {
  if (here) {
    pthread_setspecific(key, NULL);
    free_cache(here);
  }
  for (unsigned i = 0; i < CLASSES; i++)
    for (struct block *batch; (batch = fetch(&depots[i]));) free_all(batch);
}
