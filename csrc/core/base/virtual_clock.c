/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/base/virtual_clock.h"

int64_t braid_time_after(double seconds) {
  int64_t length = braid_clock_length(seconds), now = braid_time_now();
  return length > BRAID_NEVER - now ? BRAID_NEVER : now + length;
}
