/* SPDX-License-Identifier: MIT
 * Loops over ranges of all sizes by teams of many, several at once; nested loops; stops before, during and after; and
 * the end of a team as its waiters see it. */
#include "core/work/crew.h"

#include "core/base/clock.h"
#include "actor.h"

enum { MOST = 4099 };

struct ranges {
  size_t count, grain;
  unsigned seats;
  bool nested;
  atomic_uchar seen[MOST];
  atomic_bool taken[BRAID_TEAM_MOST]; /* seats */
  bool whole;
};

static void mark(void *context, size_t first, size_t last) {
  struct ranges *ranges = context;
  unsigned seat = braid_team_seat();
  check(seat < ranges->seats);
  if (!ranges->nested) check(!atomic_exchange(&ranges->taken[seat], true));
  check(first < last && last <= ranges->count);
  size_t grain = ranges->grain ? ranges->grain : (ranges->count - 1) / 64 + 1;
  check(first % grain == 0 && (last - first == grain || last == ranges->count));
  for (size_t i = first; i < last; i++) atomic_fetch_add(&ranges->seen[i], 1);
  if (!ranges->nested) atomic_store(&ranges->taken[seat], false);
}

static void run_ranges(struct braid_team *team, void *arguments) {
  struct ranges *ranges = arguments;
  ranges->seats = braid_team_size(team);
  ranges->whole = braid_team_for(team, ranges->count, ranges->grain, mark, ranges);
}

static void run_team(braid_team_run *run, void *arguments, unsigned threads) {
  struct braid_team *team = braid_team_start(run, arguments, threads);
  check(team != NULL);
  if (!team) return;
  braid_team_await(team);
  braid_team_unref(team);
}

static void check_seen(struct ranges *ranges) {
  check(ranges->whole);
  for (size_t i = 0; i < MOST; i++) check(atomic_load(&ranges->seen[i]) == (i < ranges->count));
}

static void does_each_index_once(void) {
  static const size_t counts[] = {0, 1, 2, 63, 64, 65, 127, 1000, MOST}, grains[] = {0, 1, 2, 7, 64, MOST};
  static const unsigned threads[] = {0, 1, 2, 3, 7};
  for (size_t c = 0; c < 9; c++)
    for (size_t g = 0; g < 6; g++)
      for (size_t t = 0; t < 5; t++) {
        static struct ranges ranges;
        memset((void *)&ranges, 0, sizeof ranges);
        ranges.count = counts[c], ranges.grain = grains[g];
        run_team(run_ranges, &ranges, threads[t]);
        check_seen(&ranges);
      }
}

static void works_without_a_team(void) {
  static struct ranges ranges = {.count = 1000, .grain = 7};
  run_ranges(NULL, &ranges);
  check_seen(&ranges);
  check(!braid_team_stopped(NULL));
}

/* ---- several -------------------------------------------------------------------------------------------------- */

static void *run_many(void *argument) {
  struct ranges *ranges = argument;
  for (int round = 0; round < 200; round++) {
    memset((void *)ranges, 0, sizeof *ranges);
    ranges->count = 100 + (size_t)round, ranges->grain = 3;
    run_team(run_ranges, ranges, (unsigned)round % 5);
    check_seen(ranges);
  }
  return NULL;
}

static void teams_share_the_crew(void) {
  enum { THREADS = 4 };
  static struct ranges ranges[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) check(pthread_create(&threads[i], NULL, run_many, &ranges[i]) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

struct nest {
  struct braid_team *team;
  struct ranges ranges[8];
};

static void descend(void *context, size_t first, size_t last) {
  struct nest *nest = context;
  for (size_t i = first; i < last; i++) {
    struct ranges *ranges = &nest->ranges[i];
    ranges->count = 500, ranges->grain = 9, ranges->nested = true;
    ranges->seats = braid_team_size(nest->team);
    ranges->whole = braid_team_for(nest->team, ranges->count, ranges->grain, mark, ranges);
  }
}

static void run_nest(struct braid_team *team, void *arguments) {
  struct nest *nest = arguments;
  nest->team = team;
  check(braid_team_for(team, 8, 1, descend, nest));
  check(braid_team_seat() == 0);
}

static void loops_nest(void) {
  static struct nest nest;
  run_team(run_nest, &nest, 3);
  for (int i = 0; i < 8; i++) check_seen(&nest.ranges[i]);
}

/* ---- stops ---------------------------------------------------------------------------------------------------- */

struct slow {
  atomic_uint begun;
  atomic_bool whole;
};

static void dawdle(void *context, size_t first, size_t last) {
  struct slow *slow = context;
  (void)first, (void)last;
  atomic_fetch_add(&slow->begun, 1);
  usleep(1000);
}

static void run_slow(struct braid_team *team, void *arguments) {
  struct slow *slow = arguments;
  atomic_store(&slow->whole, braid_team_for(team, 1000 * 1000, 1, dawdle, slow));
}

static void stops_between_chunks(void) {
  struct slow slow = {.whole = true};
  struct braid_team *team = braid_team_start(run_slow, &slow, 3);
  while (atomic_load(&slow.begun) < 10) usleep(100);
  braid_team_stop(team);
  braid_team_await(team);
  check(!atomic_load(&slow.whole));
  check(atomic_load(&slow.begun) < 10000);
  braid_team_stop(team); /* it has ended: nothing happens */
  braid_team_unref(team);
}

/* More than there are threads: those that have not begun end without. */
static void stops_before_it_begins(void) {
  enum { TEAMS = 40 };
  static struct slow slow[TEAMS];
  struct braid_team *teams[TEAMS];
  for (int i = 0; i < TEAMS; i++) teams[i] = braid_team_start(run_slow, &slow[i], 1);
  int idle = 0;
  for (int i = TEAMS - 1; i >= 0; i--) {
    braid_team_stop(teams[i]);
    braid_team_await(teams[i]);
    idle += atomic_load(&slow[i].begun) == 0;
    braid_team_unref(teams[i]);
  }
  check(idle > 0);
}

/* ---- waiters -------------------------------------------------------------------------------------------------- */

static void wakes_who_waits(void) {
  struct actor actor;
  actor_open(&actor, 7);
  int cancelled = 0;
  for (int round = 0; round < 300; round++) {
    static struct ranges ranges;
    memset((void *)&ranges, 0, sizeof ranges);
    ranges.count = 200, ranges.grain = 1;
    struct braid_team *team = braid_team_start(run_ranges, &ranges, 2);
    enum braid_status status = braid_team_join(team, actor_arm(&actor));
    status = actor_await_rashly(&actor, status);
    if (status != BRAID_OK) { /* the wait was ended: as lkernel does, stop and wait again */
      cancelled++;
      braid_team_stop(team);
      check(actor_await(&actor, braid_team_join(team, actor_arm(&actor)), BRAID_NEVER) == BRAID_OK);
    } else {
      check_seen(&ranges);
    }
    braid_team_unref(team);
  }
  check(cancelled > 0 && cancelled < 300);
  actor_close(&actor);
}

CHECK_MAIN({"does each index once", does_each_index_once}, {"works without a team", works_without_a_team},
           {"teams share the crew", teams_share_the_crew}, {"loops nest", loops_nest},
           {"stops between chunks", stops_between_chunks}, {"stops before it begins", stops_before_it_begins},
           {"wakes who waits", wakes_who_waits})
