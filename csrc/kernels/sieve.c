/* SPDX-License-Identifier: MIT
 * The sieve of Eratosthenes in segments that fit into a core's cache (C. Bays, R. H. Hudson, "The segmented sieve of
 * Eratosthenes and primes in arithmetic progressions to 10^12", 1977). A byte represents 30 numbers: one bit for each
 * that is coprime to 30 (the wheel of P. Pritchard, 1982). Patterns remove the multiples of 7 to 29. A loop removes
 * those of larger primes; it is unrolled once around the wheel, like in K. Walisch's primesieve. */
#include "kernels/sieve.h"

#include <stdlib.h>
#include <string.h>

enum {
  SEGMENT = 32 * 1024,          /* bytes, at least; more if the sieving primes are large */
  SEGMENT_MOST = 512 * 1024,    /* bytes, at most */
  CHUNKS = 64,                  /* approximate number */
  FIRST = 31,                   /* the first prime that no pattern covers */
  PATTERN_A = 7 * 11 * 13 * 17, /* bytes */
  PATTERN_B = 19 * 23 * 29
};

/* The wheel: the numbers below 30 that are coprime to 30. */
static const uint8_t spokes[8] = {1, 7, 11, 13, 17, 19, 23, 29};

/* A prime's position in the segments. `at` is the byte of its next multiple, counted from the segment's beginning. */
struct runner {
  uint32_t at;
  uint32_t state; /* prime / 30; 3 bits: the prime's spoke; 3 bits: the spoke of the next factor */
};

struct task {
  struct braid_sieve *sieve;
  struct braid_team *team;
  uint64_t bytes;         /* of the whole sieve */
  size_t segment, chunk;  /* bytes */
  const uint32_t *primes; /* from FIRST to the square root of the limit */
  size_t prime_count;
  uint8_t pattern_a[PATTERN_A], pattern_b[PATTERN_B];
};

/* ---- one prime, one segment ----------------------------------------------------------------------------------- */

/* The bit of a number that is coprime to 30. A constant if the argument is one. */
static inline uint8_t bit_of(unsigned number) {
  unsigned rest = number % 30;
  return (uint8_t)(1u << (rest == 1    ? 0
                          : rest == 7  ? 1
                          : rest == 11 ? 2
                          : rest == 13 ? 3
                          : rest == 17 ? 4
                          : rest == 19 ? 5
                          : rest == 23 ? 6
                                       : 7));
}

/* Removes the multiple whose factor is on spoke i (w; the next spoke is v). Leaves at the end of the segment. */
#define STEP(i, w, v)                                                                                                  \
  __attribute__((fallthrough));                                                                                        \
  case i:                                                                                                              \
    if (at >= size) {                                                                                                  \
      wheel = i;                                                                                                       \
      break;                                                                                                           \
    }                                                                                                                  \
    data[at] &= (uint8_t)~bit_of(spoke * w);                                                                           \
    at += high * (v - w) + spoke * v / 30 - spoke * w / 30

/* Removes the multiples of 30 * high + spoke in the segment. `spoke` is a constant. */
BRAID_INLINE void cross(uint8_t *data, uint32_t size, struct runner *runner, const unsigned spoke) {
  const uint32_t high = runner->state >> 6, prime = 30 * high + spoke;
  const uint32_t last = high * 28 + spoke * 29 / 30; /* from the first multiple of a turn of the wheel to its last */
  uint32_t at = runner->at, wheel = runner->state & 7;
  for (;;) {
    switch (wheel) {
      default:
      case 0:
        for (; at + last < size; at += prime) {
          data[at] &= (uint8_t)~bit_of(spoke);
          data[at + high * 6 + spoke * 7 / 30] &= (uint8_t)~bit_of(spoke * 7);
          data[at + high * 10 + spoke * 11 / 30] &= (uint8_t)~bit_of(spoke * 11);
          data[at + high * 12 + spoke * 13 / 30] &= (uint8_t)~bit_of(spoke * 13);
          data[at + high * 16 + spoke * 17 / 30] &= (uint8_t)~bit_of(spoke * 17);
          data[at + high * 18 + spoke * 19 / 30] &= (uint8_t)~bit_of(spoke * 19);
          data[at + high * 22 + spoke * 23 / 30] &= (uint8_t)~bit_of(spoke * 23);
          data[at + last] &= (uint8_t)~bit_of(spoke * 29);
        }
        if (at >= size) {
          wheel = 0;
          break;
        }
        data[at] &= (uint8_t)~bit_of(spoke);
        at += high * 6 + spoke * 7 / 30;
        STEP(1, 7, 11);
        STEP(2, 11, 13);
        STEP(3, 13, 17);
        STEP(4, 17, 19);
        STEP(5, 19, 23);
        STEP(6, 23, 29);
        STEP(7, 29, 31);
        wheel = 0;
        continue;
    }
    break;
  }
  runner->at = at - size;
  runner->state = (runner->state & ~7u) | wheel;
}

static void run(uint8_t *data, uint32_t size, struct runner *runner) {
  switch (runner->state >> 3 & 7) {
    case 0: cross(data, size, runner, 1); break;
    case 1: cross(data, size, runner, 7); break;
    case 2: cross(data, size, runner, 11); break;
    case 3: cross(data, size, runner, 13); break;
    case 4: cross(data, size, runner, 17); break;
    case 5: cross(data, size, runner, 19); break;
    case 6: cross(data, size, runner, 23); break;
    default: cross(data, size, runner, 29);
  }
}

/* The prime's first multiple in the segment that begins at `byte`, but not below its square. */
static struct runner enter(uint32_t prime, uint64_t byte) {
  uint64_t factor = (30 * byte + prime - 1) / prime;
  if (factor < prime) factor = prime;
  uint32_t wheel = 0, spoke = 0;
  while (spokes[wheel] < factor % 30) wheel++;
  while (spokes[spoke] != prime % 30) spoke++;
  factor += spokes[wheel] - factor % 30;
  return (struct runner){(uint32_t)(factor * prime / 30 - byte), prime / 30 << 6 | spoke << 3 | wheel};
}

/* ---- a segment ------------------------------------------------------------------------------------------------ */

static void make_pattern(uint8_t *pattern, size_t size, const unsigned *primes, int count) {
  uint8_t marks[30] = {0};
  for (int bit = 0; bit < 8; bit++) marks[spokes[bit]] = (uint8_t)(1u << bit);
  memset(pattern, 0xff, size);
  for (int i = 0; i < count; i++)
    for (size_t n = primes[i]; n < 30 * size; n += 2 * primes[i]) pattern[n / 30] &= (uint8_t)~marks[n % 30];
}

/* Fills a segment with the numbers that 7 to 29 do not divide. */
static void lay(const struct task *task, uint8_t *data, size_t size, uint64_t byte) {
  size_t a = byte % PATTERN_A, b = byte % PATTERN_B;
  for (size_t at = 0, part; at < size; at += part, a = 0) {
    part = PATTERN_A - a < size - at ? PATTERN_A - a : size - at;
    memcpy(data + at, task->pattern_a + a, part);
  }
  for (size_t at = 0, part; at < size; at += part, b = 0) {
    part = PATTERN_B - b < size - at ? PATTERN_B - b : size - at;
    const uint8_t *pattern = task->pattern_b + b;
    for (size_t i = 0; i < part; i++) data[at + i] &= pattern[i];
  }
  if (byte == 0) data[0] = 0xfe; /* 7 to 29 themselves are prime; 1 is not */
}

/* Clears the bits beyond the limit, and pads `data` to a multiple of 8 bytes. */
static void trim(uint8_t *data, size_t size, uint64_t byte, uint64_t limit) {
  for (size_t at = limit / 30 - byte, bit = 0; bit < 8; bit++)
    if (limit / 30 >= byte && at < size && spokes[bit] > limit % 30) data[at] &= (uint8_t) ~(1u << bit);
  memset(data + size, 0, (8 - size % 8) % 8);
}

static int64_t count_bits(const uint8_t *data, size_t size) {
  int64_t count = 0;
  for (size_t at = 0; at < size; at += 8) {
    uint64_t word;
    memcpy(&word, data + at, 8);
    count += __builtin_popcountll(word);
  }
  return count;
}

static int64_t *list_bits(const uint8_t *data, size_t size, uint64_t byte, int64_t *out) {
  for (size_t at = 0; at < size; at++)
    for (unsigned bits = data[at]; bits; bits &= bits - 1)
      *out++ = (int64_t)(30 * (byte + at) + spokes[__builtin_ctz(bits)]);
  return out;
}

/* ---- a chunk -------------------------------------------------------------------------------------------------- */

/* Sieves the bytes from `first` to `last`. `data` has room for a segment. Counts the primes, or writes them to `out`.
 */
static int64_t sieve_bytes(const struct task *task, uint64_t first, uint64_t last, uint8_t *data,
                           struct runner *runners, int64_t *out) {
  size_t running = 0;
  int64_t count = 0;
  for (uint64_t byte = first; byte < last && !braid_team_stopped(task->team); byte += task->segment) {
    size_t size = last - byte < task->segment ? (size_t)(last - byte) : task->segment;
    uint64_t end = 30 * (byte + size);
    lay(task, data, size, byte);
    for (; running < task->prime_count; running++) {
      uint32_t prime = task->primes[running];
      if ((uint64_t)prime * prime >= end) break;
      runners[running] = enter(prime, byte);
    }
    for (size_t i = 0; i < running; i++) run(data, (uint32_t)size, &runners[i]);
    trim(data, size, byte, task->sieve->limit);
    if (out)
      out = list_bits(data, size, byte, out);
    else
      count += count_bits(data, size);
  }
  return count;
}

static void sieve_chunk(void *context, size_t chunk, size_t unused) {
  (void)unused;
  const struct task *task = context;
  struct braid_sieve *sieve = task->sieve;
  static const int64_t wheel_primes[] = {2, 3, 5};
  uint64_t first = (uint64_t)chunk * task->chunk, last = first + task->chunk;
  struct runner *runners = malloc((task->prime_count + 1) * sizeof *runners);
  uint8_t *data = malloc(task->segment + 8);
  int64_t *out = sieve->primes, extra = 0;
  for (size_t i = 0; out && i < chunk; i++) out += sieve->counts[i];
  for (int i = 0; chunk == 0 && i < 3 && wheel_primes[i] <= (int64_t)sieve->limit; i++, extra++)
    if (out) *out++ = wheel_primes[i];
  if (runners && data) {
    int64_t count = sieve_bytes(task, first, last < task->bytes ? last : task->bytes, data, runners, out);
    if (!out) sieve->counts[chunk] = count + extra;
  } else {
    sieve->out_of_memory = true;
  }
  free(data);
  free(runners);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static uint64_t root(uint64_t n) {
  uint64_t low = 0, high = UINT32_MAX;
  while (low < high) {
    uint64_t middle = (low + high + 1) / 2;
    if (middle * middle <= n)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

static size_t segment_of(uint64_t limit) {
  size_t segment = SEGMENT;
  while (segment < SEGMENT_MOST && segment < root(limit) / 2) segment *= 2;
  return segment;
}

/* Bytes of a chunk: a multiple of the segment's size. */
static size_t chunk_of(uint64_t limit) {
  size_t segment = segment_of(limit);
  return (size_t)((limit / 30 + 1) / CHUNKS / segment + 1) * segment;
}

size_t braid_sieve_chunks(uint64_t limit) {
  size_t chunk = chunk_of(limit);
  return (size_t)((limit / 30 + chunk) / chunk);
}

/* The primes from FIRST to `most`, by malloc. NULL when memory is out. */
static uint32_t *list_small(uint32_t most, size_t *count) {
  uint8_t *composite = calloc(most + 1, 1);
  uint32_t *primes = malloc((most / 2 + 1) * sizeof *primes);
  *count = 0;
  for (uint32_t n = 3; composite && primes && n <= most; n += 2) {
    if (composite[n]) continue;
    for (uint64_t multiple = (uint64_t)n * n; multiple <= most; multiple += 2 * n) composite[multiple] = 1;
    if (n >= FIRST) primes[(*count)++] = n;
  }
  if (!composite) {
    free(primes);
    primes = NULL;
  }
  free(composite);
  return primes;
}

void braid_sieve_run(struct braid_team *team, void *arguments) {
  static const unsigned a[] = {7, 11, 13, 17}, b[] = {19, 23, 29};
  struct braid_sieve *sieve = arguments;
  struct task task = {.sieve = sieve, .team = team, .bytes = sieve->limit / 30 + 1};
  uint32_t *primes = list_small((uint32_t)root(sieve->limit), &task.prime_count);
  if (!primes) {
    sieve->out_of_memory = true;
    return;
  }
  task.primes = primes;
  task.segment = segment_of(sieve->limit);
  task.chunk = chunk_of(sieve->limit);
  make_pattern(task.pattern_a, PATTERN_A, a, 4);
  make_pattern(task.pattern_b, PATTERN_B, b, 3);
  braid_team_for(team, braid_sieve_chunks(sieve->limit), 1, sieve_chunk, &task);
  free(primes);
}
