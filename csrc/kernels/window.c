/* SPDX-License-Identifier: MIT
 * The least of windows is van Herk's and Gil's algorithm: the numbers are cut into blocks of the window's width; a
 * window is the end of one block and the beginning of the next. */
#include "kernels/window.h"

#include <stdlib.h>

struct window {
  const double *values;
  size_t count, width;
  enum braid_window_value what;
  double *out, *forward, *backward; /* LEAST, MOST: values from the block's beginning, and to its end */
};

enum { CHUNK = 16 * BRAID_ROW_BLOCK };

static double join(enum braid_window_value what, double a, double b) {
  if (a != a) return a;
  if (b != b) return b;
  return what == BRAID_WINDOW_LEAST ? (b < a ? b : a) : b > a ? b : a;
}

static void sum_windows(void *context, size_t first, size_t last) {
  const struct window *this = context;
  double sum = 0;
  for (size_t i = first; i < last; i++) {
    if ((i - first) % BRAID_ROW_BLOCK == 0 || sum != sum || sum - sum != 0) {
      sum = 0;
      for (size_t j = i; j < i + this->width; j++) sum += this->values[j];
    } else {
      sum += this->values[i + this->width - 1] - this->values[i - 1];
    }
    this->out[i] = sum;
  }
}

static void fill_block(void *context, size_t block, size_t end) {
  const struct window *this = context;
  for (; block < end; block++) {
    size_t first = block * this->width;
    size_t last = this->count - first < this->width ? this->count : first + this->width;
    this->forward[first] = this->values[first];
    for (size_t i = first + 1; i < last; i++)
      this->forward[i] = join(this->what, this->forward[i - 1], this->values[i]);
    this->backward[last - 1] = this->values[last - 1];
    for (size_t i = last - 1; i-- > first;)
      this->backward[i] = join(this->what, this->backward[i + 1], this->values[i]);
  }
}

static void join_windows(void *context, size_t first, size_t last) {
  const struct window *this = context;
  for (size_t i = first; i < last; i++)
    this->out[i] = join(this->what, this->backward[i], this->forward[i + this->width - 1]);
}

static enum braid_status least_windows(struct braid_team *team, struct window *this, size_t windows) {
  this->forward = malloc(2 * this->count * sizeof *this->forward);
  if (!this->forward) return BRAID_NO_MEMORY;
  this->backward = this->forward + this->count;
  size_t blocks = (this->count + this->width - 1) / this->width;
  bool done =
      braid_team_for(team, blocks, 0, fill_block, this) && braid_team_for(team, windows, CHUNK, join_windows, this);
  free(this->forward);
  return done ? BRAID_OK : BRAID_CANCELLED;
}

enum braid_status braid_window(struct braid_team *team, const double *values, size_t count, size_t width,
                               enum braid_window_value what, double *out) {
  struct window this = {.values = values, .count = count, .width = width, .what = what, .out = out};
  size_t windows = count - width + 1;
  if (what != BRAID_WINDOW_SUM) return least_windows(team, &this, windows);
  return braid_team_for(team, windows, CHUNK, sum_windows, &this) ? BRAID_OK : BRAID_CANCELLED;
}

struct convolution {
  const double *a, *b;
  size_t a_count, b_count, first;
  double *out;
};

static void convolve_chunk(void *context, size_t from, size_t to) {
  const struct convolution *this = context;
  for (size_t i = from; i < to; i++) {
    size_t k = i + this->first; /* a[j] * b[k - j] */
    size_t j = k + 1 > this->b_count ? k + 1 - this->b_count : 0, last = k < this->a_count ? k + 1 : this->a_count;
    double sum = 0;
    for (; j < last; j++) sum += this->a[j] * this->b[k - j];
    this->out[i] = sum;
  }
}

enum braid_status braid_convolve(struct braid_team *team, const double *a, size_t a_count, const double *b,
                                 size_t b_count, size_t first, size_t count, double *out) {
  struct convolution this = {a, b, a_count, b_count, first, out};
  return braid_team_for(team, count, BRAID_ROW_BLOCK, convolve_chunk, &this) ? BRAID_OK : BRAID_CANCELLED;
}
