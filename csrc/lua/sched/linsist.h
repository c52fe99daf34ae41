/* SPDX-License-Identifier: MIT
 * Code that catches its cancel and goes on. The cancel is raised again at each wait, and the raises are counted here.
 * After too many of them the hook stops the code. The state's own thread. */
#ifndef BRAID_LINSIST_H
#define BRAID_LINSIST_H

#include "lua/sched/ltree.h"

struct sched;

/* Counts a cancel by `canceller` that is raised in the task. Returns NULL for the first one, else the count. */
struct insistence *insist_count(lua_State *L, struct task *task, const void *canceller);

/* The same without counting. NULL if it was raised once at most. */
struct insistence *insist_find(lua_State *L, struct task *task, const void *canceller);

/* Whether a cancel by `canceller` was raised in the task before. */
bool insist_told(struct task *task, const void *canceller);

/* Notes that the hook raises the cancel. Does not count, but insist_told is true from then on. */
void insist_tell(struct task *task, const void *canceller);

/* Returns the number of instructions after which the hook must look whether to stop such code; 0: no look is needed
 * now. */
int insist_look(struct insistence *insistence);

/* Whether the hook must stop the code now. Only after insist_look has returned another value than 0. */
bool insist_is_due(const struct insistence *insistence);

/* Notes that the hook stopped the code; the next stop comes sooner. Returns true the first time. */
bool insist_stopped(struct insistence *insistence);

/* Called by the hook. Raises in code that has gone on after its cancel too often, and reports the first time. */
void insist_stop(lua_State *L, struct sched *sched, lua_Debug *ar);

/* The task has ended: frees its count. */
void insist_forget(lua_State *L, struct task *task);

#endif
