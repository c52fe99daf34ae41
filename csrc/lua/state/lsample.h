/* SPDX-License-Identifier: MIT
 * Samples of a profile: what this state does when the profile's thread asks. The state's own thread; nothing blocks. */
#ifndef BRAID_LSAMPLE_H
#define BRAID_LSAMPLE_H

#include "lua/sched/lsched.h"

/* The state was asked for a sample: tells where the coroutine L stands, from this level on; NULL: the loop itself
 * works. Called by the hook of code that computes, and by the loop's turn. Does not raise. */
void sample_take(struct sched *sched, lua_State *L, int level);

/* A kernel has run in other threads, while L waited for it, since that time: tells it as its caller's. */
void sample_kernel(struct sched *sched, lua_State *L, const char *name, int64_t began);

#endif
