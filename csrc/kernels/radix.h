/* SPDX-License-Identifier: MIT
 * A stable, parallel radix sort, as a template for several element types. Before including this file, define RADIX_NAME
 * (a prefix for its functions), RADIX_ELEMENT (the type) and RADIX_KEY(element) (its key, an unsigned integer).
 *
 * A large range is *divided*: the highest bits in which its keys differ select one of 2,048 buckets. All threads move
 * the elements: each chunk of the range has its own places in each bucket, which were counted before. A range that fits
 * into a core's cache is *settled* by one thread: two passes, lowest digit first, sort it by its highest differing
 * bits, so many that they usually distinguish all elements. Runs that are equal in these bits are settled again. So
 * neither skew nor many equal keys make it slow, and the result depends only on the elements. */
#include <string.h>

#include "core/work/crew.h"

#define RADIX_PASTE2(a, b) a##_##b
#define RADIX_PASTE(a, b) RADIX_PASTE2(a, b)
#define RADIX(name) RADIX_PASTE(RADIX_NAME, name)

#ifndef RADIX_BITS
#define RADIX_BITS 11                    /* bits of the digit by which a range is divided */
#define RADIX_BUCKETS (1u << RADIX_BITS) /* buckets of a division */
#define RADIX_CHUNKS 32                  /* of a range that is divided; a thread moves one at a time */
#define RADIX_LARGE (1u << 18)           /* elements: a range of this size or more is divided */
#define RADIX_SHORT 24                   /* elements: a range of this size or less is sorted by insertion */
#define RADIX_DIGIT 12                   /* most bits of a digit when a range is settled */

static inline unsigned radix_width(uint64_t difference) {
  return difference ? 64u - (unsigned)__builtin_clzll(difference) : 0;
}

/* Prefix sums: each count becomes the sum of the counts before it. */
static inline void radix_places(uint32_t *counts, size_t count) {
  uint32_t place = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t here = counts[i];
    counts[i] = place;
    place += here;
  }
}
#endif

/* ---- one thread, in the cache ------------------------------------------------------------------------------------ */

static void RADIX(insert)(RADIX_ELEMENT *data, size_t count) {
  for (size_t i = 1; i < count; i++) {
    RADIX_ELEMENT element = data[i];
    size_t place = i;
    while (place > 0 && RADIX_KEY(data[place - 1]) > RADIX_KEY(element)) {
      data[place] = data[place - 1];
      place--;
    }
    data[place] = element;
  }
}

static void RADIX(bounds)(const RADIX_ELEMENT *data, size_t count, uint64_t *least, uint64_t *most) {
  uint64_t low = RADIX_KEY(data[0]), high = low;
  for (size_t i = 1; i < count; i++) {
    uint64_t key = RADIX_KEY(data[i]);
    if (key < low) low = key;
    if (key > high) high = key;
  }
  *least = low;
  *most = high;
}

/* Sorts by key - least in two passes, each by `digit` bits, beginning with the bits from `shift` on. */
static void RADIX(passes)(RADIX_ELEMENT *data, RADIX_ELEMENT *spare, size_t count, uint64_t least, unsigned shift,
                          unsigned digit) {
  uint32_t low[1u << RADIX_DIGIT], high[1u << RADIX_DIGIT];
  uint64_t mask = (UINT64_C(1) << digit) - 1;
  memset(low, 0, sizeof *low << digit);
  memset(high, 0, sizeof *high << digit);
  for (size_t i = 0; i < count; i++) {
    uint64_t key = (RADIX_KEY(data[i]) - least) >> shift;
    low[key & mask]++;
    high[key >> digit]++;
  }
  radix_places(low, (size_t)1 << digit);
  radix_places(high, (size_t)1 << digit);
  for (size_t i = 0; i < count; i++) {
    uint64_t key = (RADIX_KEY(data[i]) - least) >> shift;
    spare[low[key & mask]++] = data[i];
  }
  for (size_t i = 0; i < count; i++) {
    uint64_t key = (RADIX_KEY(spare[i]) - least) >> shift;
    data[high[key >> digit]++] = spare[i];
  }
}

/* Sorts `data`; `spare` has as many elements. Each level of the recursion uses up at least one digit. */
static void RADIX(settle)(RADIX_ELEMENT *data, RADIX_ELEMENT *spare, size_t count) {
  if (count <= RADIX_SHORT) {
    RADIX(insert)(data, count);
    return;
  }
  uint64_t least, most;
  RADIX(bounds)(data, count, &least, &most);
  unsigned width = radix_width(most - least), wanted = radix_width(count) + 6;
  if (width == 0) return;
  unsigned digit = ((wanted < width ? wanted : width) + 1) / 2;
  if (digit > RADIX_DIGIT) digit = RADIX_DIGIT;
  unsigned shift = width > 2 * digit ? width - 2 * digit : 0;
  RADIX(passes)(data, spare, count, least, shift, digit);
  if (shift == 0) return;
  for (size_t first = 0, last; first < count; first = last) {
    uint64_t prefix = (RADIX_KEY(data[first]) - least) >> shift;
    for (last = first + 1; last < count && (RADIX_KEY(data[last]) - least) >> shift == prefix;) last++;
    if (last - first > 1) RADIX(settle)(data + first, spare + first, last - first);
  }
}

/* ---- all threads ------------------------------------------------------------------------------------------------- */

struct RADIX(range) {
  struct braid_team *team;
  RADIX_ELEMENT *data, *spare;
  size_t count;
  uint64_t least[RADIX_CHUNKS], most[RADIX_CHUNKS];
  unsigned shift;
  bool back; /* the result must be in `data`, not in `spare` */
  size_t places[RADIX_CHUNKS][RADIX_BUCKETS];
  size_t begins[RADIX_BUCKETS + 1];
};

static size_t RADIX(border)(const struct RADIX(range) * range, size_t chunk) {
  return range->count / RADIX_CHUNKS * chunk + range->count % RADIX_CHUNKS * chunk / RADIX_CHUNKS;
}

static void RADIX(look)(void *context, size_t first, size_t last) {
  struct RADIX(range) *range = context;
  for (size_t chunk = first; chunk < last; chunk++) {
    size_t begin = RADIX(border)(range, chunk), end = RADIX(border)(range, chunk + 1);
    RADIX(bounds)(range->data + begin, end - begin, &range->least[chunk], &range->most[chunk]);
  }
}

static void RADIX(count)(void *context, size_t first, size_t last) {
  struct RADIX(range) *range = context;
  uint64_t least = range->least[0];
  unsigned shift = range->shift;
  for (size_t chunk = first; chunk < last; chunk++) {
    size_t *counts = range->places[chunk];
    memset(counts, 0, sizeof range->places[chunk]);
    size_t begin = RADIX(border)(range, chunk), end = RADIX(border)(range, chunk + 1);
    for (size_t i = begin; i < end; i++) counts[(RADIX_KEY(range->data[i]) - least) >> shift]++;
  }
}

static void RADIX(move)(void *context, size_t first, size_t last) {
  struct RADIX(range) *range = context;
  RADIX_ELEMENT *spare = range->spare;
  uint64_t least = range->least[0];
  unsigned shift = range->shift;
  for (size_t chunk = first; chunk < last; chunk++) {
    size_t *places = range->places[chunk];
    size_t begin = RADIX(border)(range, chunk), end = RADIX(border)(range, chunk + 1);
    for (size_t i = begin; i < end; i++) {
      RADIX_ELEMENT element = range->data[i];
      spare[places[(RADIX_KEY(element) - least) >> shift]++] = element;
    }
  }
}

/* Computes where each chunk's elements of each bucket go: by bucket, and within a bucket by chunk. */
static void RADIX(plan)(struct RADIX(range) * range) {
  size_t place = 0;
  for (size_t bucket = 0; bucket < RADIX_BUCKETS; bucket++) {
    range->begins[bucket] = place;
    for (size_t chunk = 0; chunk < RADIX_CHUNKS; chunk++) {
      size_t here = range->places[chunk][bucket];
      range->places[chunk][bucket] = place;
      place += here;
    }
  }
  range->begins[RADIX_BUCKETS] = place;
}

static void RADIX(finish)(void *context, size_t first, size_t last) {
  struct RADIX(range) *range = context;
  for (size_t bucket = first; bucket < last; bucket++) {
    size_t begin = range->begins[bucket], count = range->begins[bucket + 1] - begin;
    if (count >= RADIX_LARGE) continue;
    RADIX(settle)(range->spare + begin, range->data + begin, count);
    if (range->back) memcpy(range->data + begin, range->spare + begin, count * sizeof(RADIX_ELEMENT));
  }
}

static enum braid_status RADIX(divide)(struct braid_team *team, RADIX_ELEMENT *data, RADIX_ELEMENT *spare, size_t count,
                                       bool stay);

static enum braid_status RADIX(deepen)(struct RADIX(range) * range) {
  braid_team_for(range->team, RADIX_CHUNKS, 1, RADIX(count), range);
  RADIX(plan)(range);
  braid_team_for(range->team, RADIX_CHUNKS, 1, RADIX(move), range);
  braid_team_for(range->team, RADIX_BUCKETS, 4, RADIX(finish), range);
  for (size_t bucket = 0; bucket < RADIX_BUCKETS; bucket++) {
    size_t begin = range->begins[bucket], count = range->begins[bucket + 1] - begin;
    if (braid_team_stopped(range->team)) return BRAID_CANCELLED;
    if (count < RADIX_LARGE) continue;
    enum braid_status status =
        RADIX(divide)(range->team, range->spare + begin, range->data + begin, count, !range->back);
    if (status) return status;
  }
  return BRAID_OK;
}

/* Sorts `data`; `spare` has as many elements. The result is in `data` if `stay`, else in `spare`. */
static enum braid_status RADIX(divide)(struct braid_team *team, RADIX_ELEMENT *data, RADIX_ELEMENT *spare, size_t count,
                                       bool stay) {
  enum braid_status status = BRAID_OK;
  struct RADIX(range) *range = NULL;
  unsigned width = 0;
  if (count < RADIX_LARGE) {
    RADIX(settle)(data, spare, count);
  } else {
    range = malloc(sizeof *range);
    if (!range) return BRAID_NO_MEMORY;
    *range = (struct RADIX(range)){.team = team, .data = data, .spare = spare, .count = count, .back = stay};
    braid_team_for(team, RADIX_CHUNKS, 1, RADIX(look), range);
    for (size_t chunk = 1; chunk < RADIX_CHUNKS; chunk++) {
      if (range->least[chunk] < range->least[0]) range->least[0] = range->least[chunk];
      if (range->most[chunk] > range->most[0]) range->most[0] = range->most[chunk];
    }
    width = radix_width(range->most[0] - range->least[0]);
    range->shift = width > RADIX_BITS ? width - RADIX_BITS : 0;
    if (braid_team_stopped(team))
      status = BRAID_CANCELLED;
    else if (width > 0)
      status = RADIX(deepen)(range);
    free(range);
  }
  if (width == 0 && !stay) memcpy(spare, data, count * sizeof(RADIX_ELEMENT));
  return status;
}
