/* SPDX-License-Identifier: MIT
 * Monte Carlo: counts the random points of a square that lie in its inscribed circle. */
#ifndef BRAID_CIRCLE_H
#define BRAID_CIRCLE_H

#include "core/work/crew.h"

struct braid_circle {
  uint64_t points, seed;
  _Atomic uint64_t inside;
};

/* The kernel; `arguments` is a braid_circle. On the team's thread; returns when all its threads are done. */
void braid_circle_run(struct braid_team *team, void *arguments);

#endif
