/* SPDX-License-Identifier: MIT
 * Memory that jobs leave behind in a worker's state. Lua's collector starts a cycle when a state has twice the memory
 * that it had after the last one. After one large job that may never happen. The collector also does not know the
 * memory outside of Lua: arrays, and shared objects that others wait to see freed. So the worker collects by itself.
 * The worker's own thread. */
#ifndef BRAID_LWORKERGARBAGE_H
#define BRAID_LWORKERGARBAGE_H

#include "lua/pool/lworkerjob.h"

/* Whether there is so much that it must be collected between two jobs. Does not block. */
bool workergarbage_is_much(struct worker *worker);

/* The time from which a worker that now waits counts as idle; BRAID_NEVER: there is nothing to collect. */
int64_t workergarbage_idle_from(struct worker *worker);

/* Collects garbage, and gives free memory back to the system. Blocks for the time that this takes. */
void workergarbage_collect(lua_State *L, struct worker *worker);

#endif
