/* SPDX-License-Identifier: MIT
 * The numbers of a state, for `braid top`. The state's own thread. */
#ifndef BRAID_LCOUNTS_H
#define BRAID_LCOUNTS_H

#include "lua/sched/lsched.h"

/* Answers if the state was asked for its numbers. Does not raise. */
void counts_attend(struct sched *sched);

#endif
