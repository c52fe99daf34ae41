/* SPDX-License-Identifier: MIT
 * Monotonic time in nanoseconds. Deadlines are times of this clock. */
#ifndef BRAID_CLOCK_H
#define BRAID_CLOCK_H

#include "core/base/base.h"

#define BRAID_NEVER INT64_MAX
#define BRAID_SECOND INT64_C(1000000000)

/* Any thread; does not block. */
int64_t braid_clock_now(void);

/* Seconds in nanoseconds; BRAID_NEVER when that is beyond the clock's range; 0 for a negative number. */
int64_t braid_clock_length(double seconds);

/* The time `seconds` from now; BRAID_NEVER when that is beyond the clock's range. Any thread; does not block. */
int64_t braid_clock_after(double seconds);

#endif
