/* SPDX-License-Identifier: MIT
 * b is packed once into panels, as wide as the inner kernel's result. Then threads compute tiles of c: each packs its
 * rows of a into strips, as high as the inner kernel's result. The packs are padded with 0 at the edges, so the inner
 * kernel needs no special cases. The Makefile allows fused multiply-add in this file. */
#include "kernels/matmul.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/simd.h"

enum {
  DEPTH = 256, /* steps of k at a time, so that a part of a panel stays in the L1 cache */
  HEIGHT = 48, /* rows of a tile, a multiple of all kernels' rows */
  WIDTH = 256, /* columns of a tile, a multiple of all kernels' columns */
  PACKED = 16, /* rows of b that a thread packs at a time */
};

/* ---- the inner kernel ---------------------------------------------------------------------------------------------
 */

/* Adds strip * panel to c. The strip has `depth` columns, the panel `depth` rows. `stride` is the distance of c's rows.
 */
typedef void inner_kernel(size_t depth, const double *strip, const double *panel, double *c, size_t stride);

/* The result is two vectors wide. Each row has its own variables, so that the sums stay in registers. */
#define SUMS(r) vector left##r = {0}, right##r = {0};
#define STEP(r) left##r += left * strip[r], right##r += right * strip[r];
#define ADD(r)                                                                                                         \
  ((vector *)(void *)(c + (r)*stride))[0] += left##r;                                                                  \
  ((vector *)(void *)(c + (r)*stride))[1] += right##r;
#define KERNEL(name, target, bits, rows, EACH)                                                                         \
  target static void name(size_t depth, const double *strip, const double *panel, double *c, size_t stride) {          \
    typedef double vector __attribute__((vector_size(bits / 8), aligned(8), may_alias));                               \
    EACH(SUMS)                                                                                                         \
    for (size_t i = 0; i < depth; i++, strip += (rows), panel += 2 * bits / 64) {                                      \
      vector left = ((const vector *)(const void *)panel)[0], right = ((const vector *)(const void *)panel)[1];        \
      EACH(STEP)                                                                                                       \
    }                                                                                                                  \
    EACH(ADD)                                                                                                          \
  }
#define ROWS_4(X) X(0) X(1) X(2) X(3)
#define ROWS_6(X) ROWS_4(X) X(4) X(5)
#define ROWS_12(X) ROWS_6(X) X(6) X(7) X(8) X(9) X(10) X(11)

KERNEL(inner_128, , 128, 4, ROWS_4)
#ifdef BRAID_SIMD_512
KERNEL(inner_256, BRAID_SIMD_256, 256, 6, ROWS_6)
KERNEL(inner_512, BRAID_SIMD_512, 512, 12, ROWS_12)
#endif

struct shape {
  size_t rows, columns;
  inner_kernel *kernel;
};

static struct shape shape_of_machine(void) {
#ifdef BRAID_SIMD_512
  int width = braid_simd_width();
  if (width == 512) return (struct shape){12, 16, inner_512};
  if (width == 256) return (struct shape){6, 8, inner_256};
#endif
  return (struct shape){4, 4, inner_128};
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

struct scratch {
  double strips[HEIGHT * DEPTH], tile[HEIGHT * WIDTH];
};

struct matmul {
  const struct braid_row *a, *b;
  struct braid_row *c;
  size_t m, k, n;
  struct shape shape;
  double *panels;          /* all of b; each panel has k rows */
  struct scratch *scratch; /* one for each seat */
};

/* Packs the rows from `first` to `last` of b into all panels. */
static void pack_panels(void *context, size_t first, size_t last) {
  struct matmul *this = context;
  double buffer[BRAID_ROW_BLOCK];
  size_t wide = this->shape.columns, n = this->n;
  for (size_t row = first; row < last; row++)
    for (size_t at = 0, count; at < n; at += count) {
      count = n - at < BRAID_ROW_BLOCK ? n - at : BRAID_ROW_BLOCK; /* a block is a multiple of all widths */
      const double *from = braid_row_doubles(this->b, row * n + at, count, buffer);
      for (size_t column = 0; column < count; column += wide) {
        double *to = this->panels + ((at + column) / wide * this->k + row) * wide;
        size_t here = count - column < wide ? count - column : wide;
        memcpy(to, from + column, here * sizeof *to);
        memset(to + here, 0, (wide - here) * sizeof *to);
      }
    }
}

/* Packs `count` rows from `top` on, `depth` columns from `begin` on, into strips. */
static void pack_strips(const struct matmul *this, double *strips, size_t top, size_t count, size_t begin,
                        size_t depth) {
  double buffer[DEPTH];
  size_t high = this->shape.rows;
  for (size_t row = 0; row < (count + high - 1) / high * high; row++) {
    double *to = strips + row / high * high * depth + row % high;
    if (row >= count) {
      for (size_t i = 0; i < depth; i++) to[i * high] = 0;
      continue;
    }
    const double *from = braid_row_doubles(this->a, (top + row) * this->k + begin, depth, buffer);
    for (size_t i = 0; i < depth; i++) to[i * high] = from[i];
  }
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

static void compute_tile(struct matmul *this, struct scratch *scratch, size_t top, size_t left) {
  size_t height = this->m - top < HEIGHT ? this->m - top : HEIGHT;
  size_t width = this->n - left < WIDTH ? this->n - left : WIDTH;
  size_t high = this->shape.rows, wide = this->shape.columns;
  memset(scratch->tile, 0, sizeof scratch->tile);
  for (size_t begin = 0, depth; begin < this->k; begin += depth) {
    depth = this->k - begin < DEPTH ? this->k - begin : DEPTH;
    pack_strips(this, scratch->strips, top, height, begin, depth);
    for (size_t column = 0; column < width; column += wide) {
      const double *panel = this->panels + ((left + column) / wide * this->k + begin) * wide;
      for (size_t row = 0; row < height; row += high)
        this->shape.kernel(depth, scratch->strips + row * depth, panel, scratch->tile + row * WIDTH + column, WIDTH);
    }
  }
  for (size_t row = 0; row < height; row++)
    braid_row_set_doubles(this->c, (top + row) * this->n + left, width, scratch->tile + row * WIDTH);
}

static void compute_tiles(void *context, size_t first, size_t last) {
  struct matmul *this = context;
  size_t across = (this->n + WIDTH - 1) / WIDTH;
  for (size_t tile = first; tile < last; tile++)
    compute_tile(this, &this->scratch[braid_team_seat()], tile / across * HEIGHT, tile % across * WIDTH);
}

enum braid_status braid_matmul(struct braid_team *team, const struct braid_row *a, const struct braid_row *b,
                               struct braid_row *c, size_t m, size_t k, size_t n) {
  struct matmul this = {.a = a, .b = b, .c = c, .m = m, .k = k, .n = n, .shape = shape_of_machine()};
  size_t wide = this.shape.columns, panels = (n + wide - 1) / wide;
  size_t tiles = (m + HEIGHT - 1) / HEIGHT * ((n + WIDTH - 1) / WIDTH);
  this.panels = malloc((panels * k * wide + 1) * sizeof *this.panels);
  this.scratch = malloc(braid_team_size(team) * sizeof *this.scratch);
  enum braid_status status = BRAID_NO_MEMORY;
  if (this.panels && this.scratch) {
    bool done = braid_team_for(team, k, PACKED, pack_panels, &this);
    if (done) done = braid_team_for(team, tiles, 1, compute_tiles, &this);
    status = done ? BRAID_OK : BRAID_CANCELLED;
  }
  free(this.panels);
  free(this.scratch);
  return status;
}
