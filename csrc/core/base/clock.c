/* SPDX-License-Identifier: MIT
 * CLOCK_MONOTONIC in nanoseconds. */
#include "core/base/clock.h"

#include <time.h>

int64_t braid_clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * BRAID_SECOND + now.tv_nsec;
}

int64_t braid_clock_after(double seconds) {
  const double furthest = 9.0e9; /* 285 years: more than the clock holds from here on */
  if (seconds >= furthest) return BRAID_NEVER;
  if (seconds <= 0) return braid_clock_now();
  return braid_clock_now() + (int64_t)(seconds * (double)BRAID_SECOND);
}
