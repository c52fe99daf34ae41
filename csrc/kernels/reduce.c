/* SPDX-License-Identifier: MIT
 * Each chunk writes its result to its own place; then the results are combined as a tree. */
#include "kernels/reduce.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/simd.h"

enum { LANES = 32, BLOCKS = BRAID_ROW_CHUNK / BRAID_ROW_BLOCK };

struct found {
  double number;
  uint64_t integer;
  size_t place;
  bool nan;
};

struct reduction {
  enum braid_reduction what;
  const struct braid_row *a, *b;
  bool is_float;
  double mean;
  struct found *found; /* for each chunk: its result */
};

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

BRAID_INLINE double fold(double *lanes) {
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

/* Defines a function that sums a term of a[i] and b[i] over a block. */
#define SUM(name, term)                                                                                                \
  BRAID_INLINE void name##_body(const double *a, const double *b, double mean, size_t count, double *result) {         \
    double lanes[LANES] = {0};                                                                                         \
    size_t first = 0;                                                                                                  \
    (void)b, (void)mean;                                                                                               \
    for (; first + LANES <= count; first += LANES)                                                                     \
      for (size_t lane = 0, i = first; lane < LANES; lane++, i++) lanes[lane] += (term);                               \
    for (size_t lane = 0, i = first; lane < LANES && i < count; lane++, i++) lanes[lane] += (term);                    \
    *result = fold(lanes);                                                                                             \
  }                                                                                                                    \
  BRAID_SIMD(name, (const double *a, const double *b, double mean, size_t count, double *result),                      \
             (a, b, mean, count, result))

SUM(sum_plain, a[i])
SUM(sum_products, a[i] * b[i])
SUM(sum_squares, (a[i] - mean) * (a[i] - mean))

BRAID_INLINE void integer_sum_body(const int64_t *a, size_t count, uint64_t *result) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += (uint64_t)a[i];
  *result += sum;
}
BRAID_SIMD(integer_sum, (const int64_t *a, size_t count, uint64_t *result), (a, count, result))

BRAID_INLINE void integer_dot_body(const int64_t *a, const int64_t *b, size_t count, uint64_t *result) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += (uint64_t)a[i] * (uint64_t)b[i];
  *result += sum;
}
BRAID_SIMD(integer_dot, (const int64_t *a, const int64_t *b, size_t count, uint64_t *result), (a, b, count, result))

/* The least sign * a[i]. *nan: there is a NaN. */
BRAID_INLINE void least_number_body(const double *a, double sign, size_t count, double *result, bool *nan) {
  double lanes[LANES], strange[LANES] = {0};
  size_t first = 0;
  for (int lane = 0; lane < LANES; lane++) lanes[lane] = INFINITY;
  for (; first + LANES <= count; first += LANES)
    for (int lane = 0; lane < LANES; lane++) {
      double x = a[first + (size_t)lane] * sign;
      lanes[lane] = x < lanes[lane] ? x : lanes[lane];
      strange[lane] = x == x ? strange[lane] : 1;
    }
  for (int lane = 0; lane < LANES && first < count; lane++, first++) {
    double x = a[first] * sign;
    lanes[lane] = x < lanes[lane] ? x : lanes[lane];
    strange[lane] = x == x ? strange[lane] : 1;
  }
  *nan = fold(strange) > 0;
  for (int lane = 1; lane < LANES; lane++) lanes[0] = lanes[lane] < lanes[0] ? lanes[lane] : lanes[0];
  *result = lanes[0];
}
BRAID_SIMD(least_number, (const double *a, double sign, size_t count, double *result, bool *nan),
           (a, sign, count, result, nan))

/* The least of a[i] ^ mask. */
BRAID_INLINE void least_integer_body(const int64_t *a, int64_t mask, size_t count, int64_t *result) {
  int64_t least = INT64_MAX;
  for (size_t i = 0; i < count; i++) {
    int64_t x = a[i] ^ mask;
    least = x < least ? x : least;
  }
  *result = least;
}
BRAID_SIMD(least_integer, (const int64_t *a, int64_t mask, size_t count, int64_t *result), (a, mask, count, result))

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

/* Pairwise summation, in place. */
static double add_pairwise(double *terms, size_t count) {
  if (count == 0) return 0;
  for (; count > 1; count = (count + 1) / 2) {
    for (size_t i = 0; i < count / 2; i++) terms[i] = terms[2 * i] + terms[2 * i + 1];
    if (count % 2) terms[count / 2] = terms[count - 1];
  }
  return terms[0];
}

static void add_numbers(struct reduction *this, struct found *found, size_t first, size_t last) {
  double left[BRAID_ROW_BLOCK], right[BRAID_ROW_BLOCK], sums[BLOCKS];
  size_t blocks = 0;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    const double *a = braid_row_doubles(this->a, at, count, left);
    const double *b = this->b ? braid_row_doubles(this->b, at, count, right) : a;
    double *sum = &sums[blocks++];
    switch (this->what) {
      case BRAID_REDUCE_DOT: sum_products(a, b, 0, count, sum); break;
      case BRAID_REDUCE_VARIANCE: sum_squares(a, b, this->mean, count, sum); break;
      default: sum_plain(a, b, 0, count, sum);
    }
  }
  found->number = add_pairwise(sums, blocks);
}

static void add_integers(struct reduction *this, struct found *found, size_t first, size_t last) {
  int64_t left[BRAID_ROW_BLOCK], right[BRAID_ROW_BLOCK];
  found->integer = 0;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    const int64_t *a = braid_row_integers(this->a, at, count, left);
    if (this->b)
      integer_dot(a, braid_row_integers(this->b, at, count, right), count, &found->integer);
    else
      integer_sum(a, count, &found->integer);
  }
}

static void least_numbers(struct reduction *this, struct found *found, size_t first, size_t last) {
  double buffer[BRAID_ROW_BLOCK], sign = this->what == BRAID_REDUCE_MOST ? -1 : 1;
  *found = (struct found){.number = INFINITY, .place = first};
  for (size_t at = first, count; at < last && !found->nan; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    const double *a = braid_row_doubles(this->a, at, count, buffer);
    double least;
    least_number(a, sign, count, &least, &found->nan);
    if (!found->nan && !(least < found->number)) continue;
    found->number = found->nan ? NAN : least;
    size_t i = 0;
    while (found->nan ? a[i] == a[i] : a[i] * sign != least) i++;
    found->place = at + i;
  }
}

static void least_integers(struct reduction *this, struct found *found, size_t first, size_t last) {
  int64_t buffer[BRAID_ROW_BLOCK], best = INT64_MAX;
  int64_t mask = braid_row_bias(this->a->type) ^ (this->what == BRAID_REDUCE_MOST ? -1 : 0);
  *found = (struct found){.integer = INT64_MAX, .place = first};
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    const int64_t *a = braid_row_integers(this->a, at, count, buffer);
    int64_t least;
    least_integer(a, mask, count, &least);
    if (least >= best) continue;
    best = least;
    size_t i = 0;
    while ((a[i] ^ mask) != least) i++;
    found->place = at + i;
  }
  found->integer = (uint64_t)best;
}

static void reduce_chunk(void *context, size_t first, size_t last) {
  struct reduction *this = context;
  struct found *found = &this->found[first / BRAID_ROW_CHUNK];
  bool order = this->what == BRAID_REDUCE_LEAST || this->what == BRAID_REDUCE_MOST;
  if (this->is_float)
    (order ? least_numbers : add_numbers)(this, found, first, last);
  else
    (order ? least_integers : add_integers)(this, found, first, last);
}

/* ---- combining --------------------------------------------------------------------------------------------------- */

/* The first of the least elements: of equal ones the earlier chunk's wins. */
static void combine_least(struct reduction *this, size_t chunks, struct braid_reduced *result) {
  struct found *best = &this->found[0];
  for (size_t i = 1; i < chunks && !best->nan; i++) {
    struct found *found = &this->found[i];
    bool less =
        this->is_float ? found->nan || found->number < best->number : (int64_t)found->integer < (int64_t)best->integer;
    if (less) best = found;
  }
  bool most = this->what == BRAID_REDUCE_MOST;
  result->place = best->place;
  result->number = most ? -best->number : best->number;
  result->integer = (int64_t)best->integer ^ braid_row_bias(this->a->type) ^ (most ? -1 : 0);
}

static void combine_sums(struct found *found, size_t chunks, struct braid_reduced *result) {
  for (; chunks > 1; chunks = (chunks + 1) / 2) {
    for (size_t i = 0; i < chunks / 2; i++) {
      found[i].number = found[2 * i].number + found[2 * i + 1].number;
      found[i].integer = found[2 * i].integer + found[2 * i + 1].integer;
    }
    if (chunks % 2) found[chunks / 2] = found[chunks - 1];
  }
  result->number = found->number;
  result->integer = (int64_t)found->integer;
}

static enum braid_status reduce(struct braid_team *team, struct reduction *this, struct braid_reduced *result) {
  size_t count = this->a->count, chunks = (count + BRAID_ROW_CHUNK - 1) / BRAID_ROW_CHUNK;
  if (!braid_team_for(team, count, BRAID_ROW_CHUNK, reduce_chunk, this)) return BRAID_CANCELLED;
  if (this->what == BRAID_REDUCE_LEAST || this->what == BRAID_REDUCE_MOST)
    combine_least(this, chunks, result);
  else
    combine_sums(this->found, chunks, result);
  return BRAID_OK;
}

enum braid_status braid_reduce(struct braid_team *team, enum braid_reduction what, const struct braid_row *a,
                               const struct braid_row *b, struct braid_reduced *result) {
  struct reduction this = {.what = what, .a = a, .b = b};
  this.is_float = what == BRAID_REDUCE_VARIANCE || braid_row_is_float(a->type) || (b && braid_row_is_float(b->type));
  this.found = calloc(a->count / BRAID_ROW_CHUNK + 1, sizeof *this.found);
  if (!this.found) return BRAID_NO_MEMORY;
  *result = (struct braid_reduced){.is_float = this.is_float};
  enum braid_status status = BRAID_OK;
  if (what == BRAID_REDUCE_VARIANCE) {
    this.what = BRAID_REDUCE_SUM;
    status = reduce(team, &this, result);
    result->mean = this.mean = result->number / (double)a->count;
    this.what = what;
  }
  if (!status) status = reduce(team, &this, result);
  free(this.found);
  return status;
}
