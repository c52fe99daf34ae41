/* SPDX-License-Identifier: MIT
 * The escape time algorithm: iterates z = z^2 + c from 0 for eight points at once. An escaped point becomes infinite
 * and then NaN. Comparisons with NaN are false, so no mask is needed. */
#include "kernels/mandelbrot.h"

#include "kernels/simd.h"

enum { LANES = 8 };

typedef double reals __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t integers __attribute__((vector_size(LANES * sizeof(int64_t))));

BRAID_INLINE bool any(const integers *lanes) {
  int64_t all = 0;
  for (int i = 0; i < LANES; i++) all |= (*lanes)[i];
  return all != 0;
}

/* The points of one row at x. */
BRAID_INLINE void escape_body(const double x[LANES], double y, uint32_t iterations, uint32_t counts[LANES]) {
  enum { ROUND = 16 }; /* iterations between two checks whether all points have escaped */
  reals cx, cy = y - (reals){0}, zx = {0}, zy = {0};
  integers count = {0}, inside = {0};
  for (int i = 0; i < LANES; i++) cx[i] = x[i];
  uint32_t done = 0;
  do {
    for (uint32_t end = iterations - done < ROUND ? iterations : done + ROUND; done < end; done++) {
      reals xx = zx * zx, yy = zy * zy;
      inside = xx + yy <= 4.0;
      count -= inside;
      zy = 2.0 * zx * zy + cy;
      zx = xx - yy + cx;
    }
  } while (done < iterations && any(&inside));
  for (int i = 0; i < LANES; i++) counts[i] = (uint32_t)count[i];
}

BRAID_SIMD(escape, (const double x[LANES], double y, uint32_t iterations, uint32_t counts[LANES]),
           (x, y, iterations, counts))

static void draw_row(const struct braid_mandelbrot *picture, size_t row) {
  double dx = (picture->right - picture->left) / (double)picture->width;
  double dy = (picture->top - picture->bottom) / (double)picture->height;
  double y = picture->top - ((double)row + 0.5) * dy, x[LANES];
  uint32_t *counts = picture->counts + row * picture->width, last[LANES];
  for (size_t column = 0; column < picture->width && !braid_team_stopped(picture->team); column += LANES) {
    size_t left = picture->width - column;
    for (size_t i = 0; i < LANES; i++) x[i] = picture->left + ((double)(column + i) + 0.5) * dx;
    escape(x, y, picture->iterations, left < LANES ? last : counts + column);
    for (size_t i = 0; left < LANES && i < left; i++) counts[column + i] = last[i];
  }
}

static void draw_rows(void *context, size_t first, size_t last) {
  for (size_t row = first; row < last; row++) draw_row(context, row);
}

void braid_mandelbrot_run(struct braid_team *team, void *arguments) {
  struct braid_mandelbrot *picture = arguments;
  picture->team = team;
  if (picture->width > 0) braid_team_for(team, picture->height, 1, draw_rows, picture);
}
