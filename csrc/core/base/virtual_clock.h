/* SPDX-License-Identifier: MIT
 * The time by which the calling thread's tasks wait: that of the machine's clock, or in a test that of a virtual clock,
 * which stands still until the test moves it. Deadlines of a loop are times of this clock. */
#ifndef BRAID_VIRTUAL_CLOCK_H
#define BRAID_VIRTUAL_CLOCK_H

#include "core/base/clock.h"
#include "core/base/thread.h"

/* Does not block. */
static inline int64_t braid_time_now(void) {
  const int64_t *clock = braid_here.clock;
  return __builtin_expect(clock != NULL, 0) ? *clock : braid_clock_now();
}

/* The time `seconds` from now; BRAID_NEVER when that is beyond the clock's range. Does not block. */
int64_t braid_time_after(double seconds);

/* From now on `clock` is the calling thread's; NULL: the machine's. */
static inline void braid_time_use(const int64_t *clock) { braid_here.clock = clock; }

#endif
