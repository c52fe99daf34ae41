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

/* Pokes a thread. Not where the host may have a handler of its own for the signal, unless the thread is ours: see
 * braid_answer_is_asked. Any thread; does not block. */
void braid_poke(pthread_t thread);

/* In the signal's handler: tells the thread's targets, if the signal is a poke. */
void braid_poke_take(const siginfo_t *info);

/* From here on pokes of this thread reach the target, until it is removed, which is done by the same thread. */
void braid_poke_add(struct braid_poke_target *target);
void braid_poke_remove(struct braid_poke_target *target);

#endif
