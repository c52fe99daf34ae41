/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/sched/lsigint.h"

#include "core/base/clock.h"
#include "lua/sched/linterrupt.h"

bool sigint_take(struct sched *sched) {
  if (atomic_load_explicit(&sched->loop.interrupts, memory_order_relaxed) == 0) return false;
  atomic_store(&sched->loop.interrupts, 0);
  sched->interrupt_seen = 0;
  if (sched->worker)
    sched_look_for_stops(sched);
  else if (sched->main && sched->main->co)
    tree_cancel_task(&sched->tree, sched->main, TASK_INTERRUPTED);
  else if (sched->main) { /* it has ended, but the tasks that it spawned go on */
    sched->main->waiter.flags |= TASK_INTERRUPTED;
    tree_cancel_scope(sched->main->nursery);
  } else if (!braid_loop_end_wait(&sched->loop, &sched->tree.script.waiter, BRAID_INTERRUPTED)) {
    atomic_store(&sched->loop.interrupts, 1); /* the script's wait has already ended: its next wait raises */
    return false;
  }
  return true;
}

/* Whether SIGINT was seen long ago and nobody has answered it. */
static bool is_late(struct sched *sched) {
  enum { PATIENCE = 100 * 1000 * 1000 }; /* ns */
  int64_t now = braid_clock_now();
  if (sched->interrupt_seen == 0) sched->interrupt_seen = now;
  return now - sched->interrupt_seen >= PATIENCE;
}

void sigint_look(lua_State *L, struct sched *sched) {
  if (atomic_load(&sched->loop.interrupts) == 0) return;
  if (!is_late(sched)) {
    stop_look(sched, L, INTERRUPT_LOOK);
    return;
  }
  if (sched->current != sched->main || !sigint_take(sched)) return;
  if (tree_canceller(&sched->tree, sched->main)) sched_raise_now(L, sched, BRAID_INTERRUPTED); /* else it is shielded */
}
