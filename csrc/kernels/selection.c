/* SPDX-License-Identifier: MIT
 * Compress counts each chunk first, so that each chunk knows where its elements go. */
#include "kernels/selection.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = BRAID_ROW_BLOCK, CHUNK = BRAID_ROW_CHUNK };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- by index ---------------------------------------------------------------------------------------------------- */

struct move {
  const struct braid_row *from, *indices;
  struct braid_row *out;
  atomic_size_t bad; /* the lowest place with a bad index; SIZE_MAX: none */
};

static void note_bad(struct move *move, size_t at) {
  size_t known = atomic_load(&move->bad);
  while (at < known && !atomic_compare_exchange_weak(&move->bad, &known, at)) {
  }
}

#define TAKE(type)                                                                                                     \
  do {                                                                                                                 \
    const type *source = move->from->data;                                                                             \
    type *target = (type *)move->out->data + at;                                                                       \
    for (size_t i = 0; i < count; i++) target[i] = source[index[i] - 1];                                               \
  } while (0)

static void take_chunk(void *context, size_t first, size_t last) {
  struct move *move = context;
  int64_t buffer[BLOCK];
  for (size_t at = first, count; at < last; at += count) {
    count = least(last - at, BLOCK);
    const int64_t *index = braid_row_integers(move->indices, at, count, buffer);
    uint64_t length = move->from->count, wrong = 0;
    for (size_t i = 0; i < count; i++) wrong |= (uint64_t)index[i] - 1 >= length;
    if (wrong) {
      size_t i = 0;
      while ((uint64_t)index[i] - 1 < length) i++;
      note_bad(move, at + i);
      return;
    }
    switch (braid_array_width(move->from->type)) {
      case 8: TAKE(uint64_t); break;
      case 4: TAKE(uint32_t); break;
      case 2: TAKE(uint16_t); break;
      default: TAKE(uint8_t);
    }
  }
}

struct braid_selection braid_selection_take(struct braid_team *team, const struct braid_row *from,
                                            const struct braid_row *indices, struct braid_row *out) {
  struct move move = {.from = from, .indices = indices, .out = out, .bad = SIZE_MAX};
  bool done = braid_team_for(team, indices->count, CHUNK, take_chunk, &move);
  size_t bad = atomic_load(&move.bad);
  return (struct braid_selection){done ? BRAID_OK : BRAID_CANCELLED, bad != SIZE_MAX, bad};
}

static void add_element(struct braid_row *to, size_t place, double number, int64_t integer) {
  if (braid_row_is_float(to->type)) {
    double now;
    now = *braid_row_doubles(to, place, 1, &now) + number;
    braid_row_set_doubles(to, place, 1, &now);
  } else {
    int64_t now;
    now = (int64_t)((uint64_t)*braid_row_integers(to, place, 1, &now) + (uint64_t)integer);
    braid_row_set_integers(to, place, 1, &now);
  }
}

struct braid_selection braid_selection_put(struct braid_team *team, struct braid_row *to,
                                           const struct braid_row *indices, const struct braid_row *values, bool add) {
  int64_t buffer[BLOCK], integer_buffer[BLOCK];
  double number_buffer[BLOCK];
  bool floats = braid_row_is_float(to->type);
  for (size_t at = 0, count; at < indices->count; at += count) {
    if (braid_team_stopped(team)) return (struct braid_selection){.status = BRAID_CANCELLED};
    count = least(indices->count - at, BLOCK);
    const int64_t *index = braid_row_integers(indices, at, count, buffer);
    const double *numbers = floats ? braid_row_doubles(values, at, count, number_buffer) : NULL;
    const int64_t *integers = floats ? NULL : braid_row_integers(values, at, count, integer_buffer);
    for (size_t i = 0; i < count; i++) {
      if ((uint64_t)index[i] - 1 >= to->count) return (struct braid_selection){BRAID_OK, true, at + i};
      size_t place = (size_t)index[i] - 1;
      if (add)
        add_element(to, place, floats ? numbers[i] : 0, floats ? 0 : integers[i]);
      else if (floats)
        braid_row_set_doubles(to, place, 1, &numbers[i]);
      else
        braid_row_set_integers(to, place, 1, &integers[i]);
    }
  }
  return (struct braid_selection){.status = BRAID_OK};
}

/* ---- by mask ----------------------------------------------------------------------------------------------------- */

struct mask {
  const struct braid_row *from, *mask;
  struct braid_row *out;
  size_t *counts; /* for each chunk: its elements; later: those before it */
};

static void count_chunk(void *context, size_t first, size_t last) {
  struct mask *this = context;
  int64_t buffer[BLOCK];
  size_t sum = 0;
  for (size_t at = first, count; at < last; at += count) {
    count = least(last - at, BLOCK);
    const int64_t *mask = braid_row_integers(this->mask, at, count, buffer);
    for (size_t i = 0; i < count; i++) sum += mask[i] != 0;
  }
  this->counts[first / CHUNK] = sum;
}

static enum braid_status count_chunks(struct braid_team *team, struct mask *this) {
  this->counts = calloc(this->mask->count / CHUNK + 2, sizeof *this->counts);
  if (!this->counts) return BRAID_NO_MEMORY;
  return braid_team_for(team, this->mask->count, CHUNK, count_chunk, this) ? BRAID_OK : BRAID_CANCELLED;
}

enum braid_status braid_selection_count(struct braid_team *team, const struct braid_row *mask, size_t *count) {
  struct mask this = {.mask = mask};
  enum braid_status status = count_chunks(team, &this);
  *count = 0;
  for (size_t i = 0; status == BRAID_OK && i <= mask->count / CHUNK; i++) *count += this.counts[i];
  free(this.counts);
  return status;
}

#define COMPRESS(type)                                                                                                 \
  do {                                                                                                                 \
    const type *source = (const type *)this->from->data + at;                                                          \
    type *target = this->out->data;                                                                                    \
    for (size_t i = 0; i < count; i++)                                                                                 \
      if (mask[i] && to < limit) target[to++] = source[i];                                                             \
  } while (0)

static void compress_chunk(void *context, size_t first, size_t last) {
  struct mask *this = context;
  int64_t buffer[BLOCK];
  /* the mask may have been changed since it was counted: nothing is written beyond the chunk's own place */
  size_t to = this->counts[first / CHUNK], limit = this->counts[first / CHUNK + 1];
  for (size_t at = first, count; at < last; at += count) {
    count = least(last - at, BLOCK);
    const int64_t *mask = braid_row_integers(this->mask, at, count, buffer);
    switch (this->from ? braid_array_width(this->from->type) : 0) {
      case 8: COMPRESS(uint64_t); break;
      case 4: COMPRESS(uint32_t); break;
      case 2: COMPRESS(uint16_t); break;
      case 1: COMPRESS(uint8_t); break;
      default:
        for (size_t i = 0; i < count; i++)
          if (mask[i] && to < limit) ((int64_t *)this->out->data)[to++] = (int64_t)(at + i) + 1;
    }
  }
}

enum braid_status braid_selection_compress(struct braid_team *team, const struct braid_row *from,
                                           const struct braid_row *mask, struct braid_row *out) {
  struct mask this = {.from = from, .mask = mask, .out = out};
  enum braid_status status = count_chunks(team, &this);
  size_t before = 0;
  for (size_t i = 0; status == BRAID_OK && i <= mask->count / CHUNK + 1; i++) {
    size_t mine = this.counts[i];
    this.counts[i] = before;
    before += mine;
  }
  if (status == BRAID_OK && before == out->count && !braid_team_for(team, mask->count, CHUNK, compress_chunk, &this))
    status = BRAID_CANCELLED;
  free(this.counts);
  return status;
}

struct where {
  const struct braid_row *mask;
  const struct braid_selection_value *a, *b;
  struct braid_row *out;
};

static const double *numbers_of(const struct braid_selection_value *value, size_t at, size_t count, double *buffer) {
  if (value->row) return braid_row_doubles(value->row, at, count, buffer);
  for (size_t i = 0; i < count; i++) buffer[i] = value->number;
  return buffer;
}

static const int64_t *integers_of(const struct braid_selection_value *value, size_t at, size_t count, int64_t *buffer) {
  if (value->row) return braid_row_integers(value->row, at, count, buffer);
  for (size_t i = 0; i < count; i++) buffer[i] = value->integer;
  return buffer;
}

static void where_chunk(void *context, size_t first, size_t last) {
  struct where *this = context;
  int64_t buffer[BLOCK], left[BLOCK], right[BLOCK];
  double left_numbers[BLOCK], right_numbers[BLOCK];
  for (size_t at = first, count; at < last; at += count) {
    count = least(last - at, BLOCK);
    const int64_t *mask = braid_row_integers(this->mask, at, count, buffer);
    if (braid_row_is_float(this->out->type)) {
      const double *a = numbers_of(this->a, at, count, left_numbers);
      const double *b = numbers_of(this->b, at, count, right_numbers);
      for (size_t i = 0; i < count; i++) left_numbers[i] = mask[i] ? a[i] : b[i];
      braid_row_set_doubles(this->out, at, count, left_numbers);
    } else {
      const int64_t *a = integers_of(this->a, at, count, left), *b = integers_of(this->b, at, count, right);
      for (size_t i = 0; i < count; i++) left[i] = mask[i] ? a[i] : b[i];
      braid_row_set_integers(this->out, at, count, left);
    }
  }
}

enum braid_status braid_selection_where(struct braid_team *team, const struct braid_row *mask,
                                        const struct braid_selection_value *a, const struct braid_selection_value *b,
                                        struct braid_row *out) {
  struct where this = {mask, a, b, out};
  return braid_team_for(team, mask->count, CHUNK, where_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
}

/* ---- ramps ------------------------------------------------------------------------------------------------------- */

struct ramp {
  struct braid_row *out;
  double first, step;
  int64_t first_integer, step_integer;
};

static void ramp_chunk(void *context, size_t first, size_t last) {
  struct ramp *this = context;
  double numbers[BLOCK];
  int64_t integers[BLOCK];
  for (size_t at = first, count; at < last; at += count) {
    count = least(last - at, BLOCK);
    if (braid_row_is_float(this->out->type)) {
      for (size_t i = 0; i < count; i++) numbers[i] = this->first + (double)(at + i) * this->step;
      braid_row_set_doubles(this->out, at, count, numbers);
    } else {
      for (size_t i = 0; i < count; i++)
        integers[i] = (int64_t)((uint64_t)this->first_integer + (at + i) * (uint64_t)this->step_integer);
      braid_row_set_integers(this->out, at, count, integers);
    }
  }
}

enum braid_status braid_selection_ramp(struct braid_team *team, struct braid_row *out, double first, double step,
                                       double last, int64_t first_integer, int64_t step_integer) {
  struct ramp this = {out, first, step, first_integer, step_integer};
  if (!braid_team_for(team, out->count, CHUNK, ramp_chunk, &this)) return BRAID_CANCELLED;
  if (last == last && out->count > 1 && braid_row_is_float(out->type))
    braid_row_set_doubles(out, out->count - 1, 1, &last);
  return BRAID_OK;
}
