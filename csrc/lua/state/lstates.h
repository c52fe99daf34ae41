/* SPDX-License-Identifier: MIT
 * What a state tells of itself when somebody asks the states of the process: see core/inspect/states.h. */
#ifndef BRAID_LSTATES_H
#define BRAID_LSTATES_H

#include "lua/sched/lsched.h"

/* Answers what the state was asked, in its loop's turn or in a hook while it computes. Does not raise. The state's own
 * thread. */
void states_attend(struct sched *sched);

#endif
