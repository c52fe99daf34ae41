/* SPDX-License-Identifier: MIT
 * The clock goes on, and its deadlines do not run over. */
#include "core/base/clock.h"

#include "check.h"

static void never_goes_back(void) {
  int64_t last = braid_clock_now();
  for (int i = 0; i < 100000; i++) {
    int64_t now = braid_clock_now();
    check(now >= last);
    last = now;
  }
}

static void counts_nanoseconds(void) {
  int64_t start = braid_clock_now();
  usleep(20000);
  int64_t passed = braid_clock_now() - start;
  check(passed >= 20 * INT64_C(1000000));
  check(passed < 10 * BRAID_SECOND);
}

static void sets_deadlines(void) {
  int64_t before = braid_clock_now();
  int64_t soon = braid_clock_after(0.25);
  int64_t after = braid_clock_now();
  check(soon >= before + BRAID_SECOND / 4 && soon <= after + BRAID_SECOND / 4);
  check(braid_clock_after(0) <= braid_clock_now());
  check(braid_clock_after(-5) <= braid_clock_now());
}

static void ends_at_never(void) {
  check(braid_clock_after(1e300) == BRAID_NEVER);
  check(braid_clock_after(9.0e9) == BRAID_NEVER);
  check(braid_clock_after(8.9e9) > braid_clock_now());
  check(braid_clock_after(8.9e9) < BRAID_NEVER);
}

CHECK_MAIN({"clock: never goes back", never_goes_back}, {"clock: counts nanoseconds", counts_nanoseconds},
           {"clock: sets deadlines", sets_deadlines}, {"clock: ends at never", ends_at_never})
