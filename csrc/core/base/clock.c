/* SPDX-License-Identifier: MIT
 * Reads CLOCK_MONOTONIC. */
#include "core/base/clock.h"

#include <time.h>

int64_t braid_clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * BRAID_SECOND + now.tv_nsec;
}

int64_t braid_clock_length(double seconds) {
  const double furthest = 9.0e9; /* 285 years: beyond the range of the clock */
  if (seconds >= furthest) return BRAID_NEVER;
  return seconds > 0 ? (int64_t)(seconds * (double)BRAID_SECOND) : 0;
}

int64_t braid_clock_after(double seconds) {
  int64_t length = braid_clock_length(seconds);
  return length == BRAID_NEVER ? BRAID_NEVER : braid_clock_now() + length;
}
