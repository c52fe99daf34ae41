/* SPDX-License-Identifier: MIT
 * What the tasks of a state wait for, for the search for deadlocks. The state's own thread. */
#ifndef BRAID_LWAITS_H
#define BRAID_LWAITS_H

#include "lua/sched/lsched.h"

enum { WAITS_LOOK = 500 * 1000 * 1000 }; /* ns between two looks at a state's own tasks */

/* Answers what the state was asked about its waits, and ends a wait that is a part of a deadlock. */
void waits_attend(struct sched *sched);

/* To be called when sched->look has passed. If a task has waited for long, the search is asked to look. */
void waits_look(struct sched *sched, int64_t now);

/* Adds the functions for Lua to the table on the top of the stack. */
void waits_open(lua_State *L);

#endif
