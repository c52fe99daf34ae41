/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/sched/lheld.h"

#include "core/process/proxy.h"

void held_abandon(struct sched *sched, struct task *task) {
  uint64_t owner = (uint64_t)(uintptr_t)task;
  struct braid_list *next;
  for (struct braid_list *at = sched->held.next; at != &sched->held; at = next) {
    next = at->next;
    struct braid_primitive *lock = braid_container(at, struct braid_primitive, held);
    if (braid_lock_owner(lock) != owner) continue;
    held_remove(lock);
    braid_lock_abandon(lock);
  }
  braid_proxy_abandon(owner); /* locks of other processes */
}
