/* SPDX-License-Identifier: MIT
 * Two passes: first count the runs that begin in each chunk, then each chunk writes its runs from there. */
#include "kernels/unique.h"

#include <stdlib.h>
#include <string.h>

struct unique {
  const struct braid_row *sorted;
  struct braid_row *values;
  int64_t *counts;
  size_t *begins; /* for each chunk: first the runs that begin in it, then the runs before it */
};

/* Sets begins[i] if a run begins at element at + i. Also reads the element before `at`, unless `at` is 0. */
static void find_begins(const struct braid_row *sorted, size_t at, size_t count, bool *begins) {
  double numbers[BRAID_ROW_BLOCK + 1];
  int64_t integers[BRAID_ROW_BLOCK + 1];
  size_t before = at > 0;
  begins[0] = true;
  if (braid_row_is_float(sorted->type)) {
    const double *x = braid_row_doubles(sorted, at - before, count + before, numbers);
    for (size_t i = 1; i < count + before; i++)
      begins[i - before] = x[i] != x[i - 1] && !(x[i] != x[i] && x[i - 1] != x[i - 1]);
  } else {
    const int64_t *x = braid_row_integers(sorted, at - before, count + before, integers);
    for (size_t i = 1; i < count + before; i++) begins[i - before] = x[i] != x[i - 1];
  }
}

static void count_chunk(void *context, size_t first, size_t last) {
  struct unique *this = context;
  bool begins[BRAID_ROW_BLOCK];
  size_t sum = 0;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    find_begins(this->sorted, at, count, begins);
    for (size_t i = 0; i < count; i++) sum += begins[i];
  }
  this->begins[first / BRAID_ROW_CHUNK] = sum;
}

/* `counts` gets the index where each run begins; write_counts turns it into lengths. */
static void write_chunk(void *context, size_t first, size_t last) {
  struct unique *this = context;
  bool begins[BRAID_ROW_BLOCK];
  size_t place = this->begins[first / BRAID_ROW_CHUNK], width = braid_array_width(this->sorted->type);
  const char *from = this->sorted->data;
  char *to = this->values->data;
  for (size_t at = first, count; at < last; at += count) {
    count = last - at < BRAID_ROW_BLOCK ? last - at : BRAID_ROW_BLOCK;
    find_begins(this->sorted, at, count, begins);
    for (size_t i = 0; i < count; i++) {
      if (!begins[i]) continue;
      memcpy(to + place * width, from + (at + i) * width, width);
      if (this->counts) this->counts[place] = (int64_t)(at + i);
      place++;
    }
  }
}

static void write_counts(struct unique *this, size_t found) {
  if (!this->counts) return;
  for (size_t i = 0; i + 1 < found; i++) this->counts[i] = this->counts[i + 1] - this->counts[i];
  if (found > 0) this->counts[found - 1] = (int64_t)this->sorted->count - this->counts[found - 1];
}

enum braid_status braid_unique(struct braid_team *team, const struct braid_row *sorted, struct braid_row *values,
                               int64_t *counts, size_t *found) {
  size_t length = sorted->count, chunks = (length + BRAID_ROW_CHUNK - 1) / BRAID_ROW_CHUNK;
  struct unique this = {sorted, values, counts, malloc((chunks + 1) * sizeof(size_t))};
  if (!this.begins) return BRAID_NO_MEMORY;
  bool done = braid_team_for(team, length, BRAID_ROW_CHUNK, count_chunk, &this);
  *found = 0;
  for (size_t chunk = 0; done && chunk < chunks; chunk++) {
    size_t here = this.begins[chunk];
    this.begins[chunk] = *found;
    *found += here;
  }
  if (done && values) done = braid_team_for(team, length, BRAID_ROW_CHUNK, write_chunk, &this);
  if (done && values) write_counts(&this, *found);
  free(this.begins);
  return done ? BRAID_OK : BRAID_CANCELLED;
}
