/* SPDX-License-Identifier: MIT
 * Pictures of the Mandelbrot set. */
#ifndef BRAID_MANDELBROT_H
#define BRAID_MANDELBROT_H

#include "core/work/crew.h"

struct braid_mandelbrot {
  size_t width, height;
  double left, right, bottom, top; /* the part of the plane */
  uint32_t iterations;
  uint32_t *counts;        /* by rows from the top: how many z had an absolute value up to 2, at most `iterations` */
  struct braid_team *team; /* while it runs */
};

/* The kernel; `arguments` is a braid_mandelbrot. On the team's thread; returns when all its threads are done. */
void braid_mandelbrot_run(struct braid_team *team, void *arguments);

#endif
