/* SPDX-License-Identifier: MIT
 * SIGURG interrupts a thread that computes. Other processes ask questions with the same signal (see question.h). Its
 * default action is to be ignored. */
#ifndef BRAID_POKE_H
#define BRAID_POKE_H

#include <pthread.h>
#include <signal.h>

#include "core/base/base.h"

#define BRAID_POKE_SIGNAL SIGURG

/* Something that a thread calls when it is poked. The caller owns the memory. */
struct braid_poke_target {
  void (*poked)(struct braid_poke_target *target); /* runs in the signal handler, on the thread */
  struct braid_poke_target *_Atomic below;         /* the next target of the same thread */
};

/* Installs our handler for the signal, unless the host has its own; true when ours is installed. `note` is called first
 * in the handler; it returns true when the signal was no poke. Keeps this library mapped. Call it once. */
bool braid_poke_open(bool (*note)(const siginfo_t *info));

/* Pokes a thread. Does nothing when our handler is not installed. Any thread; does not block. */
void braid_poke(pthread_t thread);

/* From here on pokes of the calling thread call the target, until the same thread removes it. */
void braid_poke_add(struct braid_poke_target *target);
void braid_poke_remove(struct braid_poke_target *target);

#endif
