/* SPDX-License-Identifier: MIT
 * Each block is allocated by malloc separately. Blocks of one class have at least the size of the class. A thread has
 * two lists of free blocks for each class: `some`, and `batch`, which is full or empty. So a thread that allocates and
 * frees alternately needs no other thread. A second full batch goes to the class's depot, where a thread without blocks
 * takes it. A depot's mutex is only tried: if it is not free, malloc and free are used instead. */
#include "core/base/block.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/thread.h"

enum {
  LEAST = 64,   /* bytes of the smallest class */
  CLASSES = 21, /* four for each power of two, up to BRAID_BLOCK_MOST */
  BATCH = 32,   /* blocks of a batch */
  DEPOT = 32    /* batches of a depot */
};

#if defined(__SANITIZE_ADDRESS__) /* caches would hide uses after free from it */
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

struct block {
  struct block *next;
};

struct shelf { /* the free blocks of one class, in one thread */
  struct block *some, *batch;
  unsigned count; /* blocks in `some`, less than BATCH */
};

struct braid_block_cache {
  struct shelf shelves[CLASSES];
};

struct depot { /* of one class */
  pthread_mutex_t mutex;
  atomic_uint count; /* changed under the mutex, read without */
  struct block *batches[DEPOT];
};

static struct {
  pthread_once_t once;
  struct depot depots[CLASSES];
  pthread_key_t key; /* by which a thread's cache is freed at its end */
  bool has_key;
} process = {.once = PTHREAD_ONCE_INIT};

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
  struct braid_block_cache *cache = memory;
  braid_here.blocks = NULL;
  for (unsigned i = 0; i < CLASSES; i++) {
    free_all(cache->shelves[i].some);
    free_all(cache->shelves[i].batch);
  }
  free(cache);
}

/* Keeps the library mapped: a thread may end, and call free_cache, after its state has closed. */
static void begin(void) {
  braid_thread_pin();
  for (unsigned i = 0; i < CLASSES; i++) pthread_mutex_init(&process.depots[i].mutex, NULL);
  process.has_key = pthread_key_create(&process.key, free_cache) == 0;
}

/* NULL: this thread has no cache. */
static struct braid_block_cache *open_cache(void) {
  if (!KEEPS) return NULL;
  pthread_once(&process.once, begin);
  struct braid_block_cache *cache = process.has_key ? calloc(1, sizeof *cache) : NULL;
  if (cache && pthread_setspecific(process.key, cache) != 0) {
    free(cache);
    cache = NULL;
  }
  braid_here.blocks = cache;
  return cache;
}

static inline struct shelf *shelf_of(unsigned class) {
  struct braid_block_cache *cache = braid_here.blocks ? braid_here.blocks : open_cache();
  return cache ? &cache->shelves[class] : NULL;
}

/* ---- the depot ------------------------------------------------------------------------------------------------ */

/* False: the depot is full, or its mutex is not free. */
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

/* NULL: the depot is empty, or its mutex is not free. */
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

/* `some` is empty. */
static bool refill(struct shelf *shelf, unsigned class) {
  struct block *batch = shelf->batch;
  shelf->batch = NULL;
  if (!batch) batch = fetch(&process.depots[class]);
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
  if (shelf->batch && !deliver(&process.depots[class], shelf->batch)) free_all(shelf->batch);
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
  if (braid_here.blocks) {
    pthread_setspecific(process.key, NULL);
    free_cache(braid_here.blocks);
  }
  for (unsigned i = 0; i < CLASSES; i++)
    for (struct block *batch; (batch = fetch(&process.depots[i]));) free_all(batch);
}
