/* SPDX-License-Identifier: MIT
 * A simulation takes the place of the loop's turn while a test runs: it decides which ready task goes on, and it may
 * have a virtual clock. The state's own thread. */
#ifndef BRAID_LSIMULATION_H
#define BRAID_LSIMULATION_H

#include "lua/sched/lsched.h"

/* If a simulation runs, ends it. Does not raise. */
void simulation_end(struct sched *sched);

#endif
