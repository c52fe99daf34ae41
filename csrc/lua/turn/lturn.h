/* SPDX-License-Identifier: MIT
 * One turn of the loop: runs ready tasks and jobs, then polls. The list of ready waiters is the loop's own. The state's
 * own thread. */
#ifndef BRAID_LTURN_H
#define BRAID_LTURN_H

#include "lua/sched/lsched.h"

/* Runs what is ready, and polls once. Blocks in the poll at most until `deadline` (0: not at all). True: the script's
 * own wait is over. Runs Lua; does not raise. */
bool turn_once(struct sched *sched, int64_t deadline);

/* Handles replies of jobs that have arrived, and nothing else. Runs Lua; does not raise; does not block. */
void turn_take_replies(struct sched *sched);

#endif
