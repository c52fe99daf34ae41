/* SPDX-License-Identifier: MIT
 * The loop's turn as Lua lives it. The list of ready waiters is the loop's own; there is no second one. The state's own
 * thread. */
#ifndef BRAID_LTURN_H
#define BRAID_LTURN_H

#include "lua/sched/lsched.h"

/* Runs what is ready and polls once, sleeping at most until `deadline` (0: not at all). True when the script's own
 * wait is over. Runs Lua; does not raise. */
bool turn_once(struct sched *sched, int64_t deadline);

/* Replies that have come are taken, and nothing else is done. */
void turn_take_replies(struct sched *sched);

#endif
