/* SPDX-License-Identifier: MIT
 * A waiter that arrives belongs to a task, which is then resumed, to a job, to a web request, or to the script. */
#include "lua/turn/lturn.h"

#include "lua/base/lopen.h"
#include "lua/pool/lpooljob.h"
#include "lua/sched/ldeadlock.h"
#include "lua/sched/lsigint.h"
#include "lua/state/lsample.h"
#include "lua/state/lstates.h"
#include "lua/task/lstep.h"
#include "lua/task/lwrap.h"
#include "lua/turn/lcounts.h"
#include "lua/turn/lwaits.h"
#include "lua/web/larrival.h"

enum {
  MOST_STEPS = 61,     /* then the loop polls descriptors and deadlines again */
  FIRST_LOOK = 8,      /* steps before the first check of the clock, if steps may be long */
  LONGEST = 100 * 1000 /* ns: a longer turn ends at its next check of the clock */
};

/* Whether the loop should poll. A check of the clock costs as much as a short step, so checks become rarer while steps
 * are short. */
static bool long_enough(struct sched *sched) {
  if (sched->steps < sched->next_look) return false;
  int64_t elapsed = braid_clock_now() - sched->polled;
  sched->interval = elapsed < LONGEST / 8 ? sched->interval * 2 : FIRST_LOOK;
  sched->next_look = sched->steps + sched->interval;
  return elapsed > LONGEST;
}

/* Returns true when the script's own waiter has arrived. */
static bool run_ready(struct sched *sched) {
  struct braid_waiter *waiter;
  while (sched->steps < MOST_STEPS && !braid_loop_is_fork && (waiter = braid_loop_next(&sched->loop))) {
    sched->steps++;
    if (waiter == &sched->tree.script.waiter) return true;
    if (waiter->kind == BRAID_WAITER_JOB)
      pooljob_arrive(sched, waiter);
    else if (waiter->kind == BRAID_WAITER_REQUEST)
      arrival_take(sched, waiter);
    else
      task_step(sched, braid_container(waiter, struct task, waiter), sched->L);
    if (long_enough(sched)) break;
  }
  return false;
}

/* The state looks for deadlocks from time to time, and once or twice more when it has nothing to do. */
static int64_t before_look(struct sched *sched, int64_t deadline) {
  sched->passed += sched->steps;
  if (sched->look == BRAID_NEVER && sched->steps > 0) sched->look = sched->polled + WAITS_LOOK;
  return deadline < sched->look ? deadline : sched->look;
}

static void attend(struct sched *sched) {
  states_attend(sched);
  counts_attend(sched);
  waits_attend(sched);
}

bool turn_once(struct sched *sched, int64_t deadline) {
  if (sigint_take(sched)) return false; /* the wait that the script is in reports it */
  if (sched->loop.ready.first) braid_state_stir(&sched->state);
  if (run_ready(sched) || braid_loop_is_fork) return true;
  if (sigint_take(sched)) return false;
  if (!braid_list_empty(&sched->abandoned)) wrap_close_all(sched->L, &sched->abandoned);
  if (deadline == BRAID_NEVER && deadlock_stands(sched)) return false;
  int64_t idle = sched->loop.idle;
  braid_loop_poll(&sched->loop, before_look(sched, deadline));
  if (atomic_load_explicit(&sched->state.asked, memory_order_relaxed)) attend(sched);
  int64_t now = braid_clock_now(), held = now - sched->polled - (sched->loop.idle - idle);
  if (held > sched->longest) sched->longest = held;
  if (now >= sched->look) waits_look(sched, now);
  if (now - sched->polled > LONGEST) sched->interval = FIRST_LOOK;
  sched->steps = 0;
  sched->next_look = sched->interval;
  sched_set_polled(sched, now);
  return false;
}

void turn_take_replies(struct sched *sched) {
  struct braid_wake_list others = {0};
  struct braid_waiter *waiter;
  braid_loop_take_mail(&sched->loop);
  while ((waiter = braid_loop_next(&sched->loop)))
    if (waiter->kind == BRAID_WAITER_JOB)
      pooljob_arrive(sched, waiter);
    else
      braid_wake_list_push(&others, waiter);
  while ((waiter = braid_wake_list_pop(&others))) braid_wake_list_push(&sched->loop.ready, waiter);
}

static unsigned choose(struct sched *sched, unsigned count) { return sched->turns++ % count; }

void lturn_open(lua_State *L) {
  static const struct sched_driver driver = {turn_once, states_attend, sample_take, choose};
  struct sched *sched = sched_open(L);
  sched->driver = &driver;
  sched->interval = sched->next_look = FIRST_LOOK;
  sched->look = BRAID_NEVER;
  waits_open(L);
}
