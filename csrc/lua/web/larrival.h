/* SPDX-License-Identifier: MIT
 * What happens to web requests, in the loop's turn: they become tasks there. */
#ifndef BRAID_LARRIVAL_H
#define BRAID_LARRIVAL_H

#include "lua/sched/lsched.h"

/* Takes an exchange whose waiter was in the ready list: starts its task and resumes it up to its first wait, or cancels
 * it, or gives the exchange back after its end. Runs Lua; does not raise; does not block. */
void arrival_take(struct sched *sched, struct braid_waiter *waiter);

#endif
