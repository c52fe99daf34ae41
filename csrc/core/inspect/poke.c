/* SPDX-License-Identifier: MIT
 * The handler interrupts its thread between any two instructions, and reads the list that this thread writes. */
#include "core/inspect/poke.h"

#include "core/base/thread.h"

void braid_poke(pthread_t thread) { pthread_kill(thread, BRAID_POKE_SIGNAL); }

/* A poke is sent to one thread. Only there are its targets looked at. */
static bool is_poke(const siginfo_t *info) {
#ifdef __linux__
  return info->si_code == SI_TKILL || info->si_code == SI_TIMER;
#else
  (void)info;
  return true;
#endif
}

void braid_poke_take(const siginfo_t *info) {
  if (!is_poke(info)) return;
  for (struct braid_poke_target *at = braid_here.poke_targets; at; at = at->below) at->poked(at);
}

void braid_poke_add(struct braid_poke_target *target) {
  target->below = braid_here.poke_targets;
  braid_here.poke_targets = target;
}

void braid_poke_remove(struct braid_poke_target *target) {
  struct braid_poke_target *_Atomic *at = &braid_here.poke_targets;
  while (*at && *at != target) at = &(*at)->below;
  if (*at) *at = target->below;
}
