/* SPDX-License-Identifier: MIT
 * Reports of a state for somebody who asks all states of the process: see core/inspect/states.h. */
#ifndef BRAID_LSTATES_H
#define BRAID_LSTATES_H

#include "lua/sched/lsched.h"

/* Answers questions to this state, in its loop's turn or in a hook while it computes. Does not raise. The state's own
 * thread; does not block. */
void states_attend(struct sched *sched);

#endif
