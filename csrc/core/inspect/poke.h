/* SPDX-License-Identifier: MIT
 * SIGURG makes a thread look up from what it computes. Other processes ask their questions by the same signal (see
 * question.h); by default it is ignored. */
#ifndef BRAID_POKE_H
#define BRAID_POKE_H

#include <pthread.h>
#include <signal.h>

#include "core/base/base.h"

#define BRAID_POKE_SIGNAL SIGURG

/* Something of a thread's that is to hear of pokes. Its memory is the caller's. */
struct braid_poke_target {
  void (*poked)(struct braid_poke_target *target); /* called in the signal's handler, on the thread */
  struct braid_poke_target *_Atomic below;         /* another one of the same thread */
};

/* From here on the signal is ours, unless the host has a handler of its own for it: true when it is. `note` says, in
 * the handler, whether the signal was something else than a poke. This library stays mapped. Once. */
bool braid_poke_open(bool (*note)(const siginfo_t *info));

/* Pokes a thread; nothing happens when the signal is not ours. Any thread; does not block. */
void braid_poke(pthread_t thread);

/* From here on pokes of this thread reach the target, until it is removed, which is done by the same thread. */
void braid_poke_add(struct braid_poke_target *target);
void braid_poke_remove(struct braid_poke_target *target);

#endif
