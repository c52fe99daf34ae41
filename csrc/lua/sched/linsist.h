/* SPDX-License-Identifier: MIT
 * Code that goes on after its cancel: how often it has been told, and when its patience with us is over, ours with it.
 * The state's own thread. */
#ifndef BRAID_LINSIST_H
#define BRAID_LINSIST_H

#include "lua/sched/ltree.h"

struct sched;

/* A cancel by `canceller` is raised in the task. Returns NULL the first time, and from then on how often that was. */
struct insistence *insist_count(lua_State *L, struct task *task, const void *canceller);

/* The same without counting: NULL when it was raised once at most. */
struct insistence *insist_find(lua_State *L, struct task *task, const void *canceller);

/* Whether a cancel by `canceller` was raised in the task before. */
bool insist_told(struct task *task, const void *canceller);

/* It is raised where the task stands, which does not count; insist_told from then on. */
void insist_tell(struct task *task, const void *canceller);

/* Instructions after which the hook is to look whether such code is to be stopped wherever it stands; 0: it is left
 * alone for now. */
int insist_look(struct insistence *insistence);

/* In the hook, when there is something to look for: whether it is to be stopped now. */
bool insist_is_due(const struct insistence *insistence);

/* It was stopped so: the next time is sooner. True the first time. */
bool insist_stopped(struct insistence *insistence);

/* In the hook: raises in code that has gone on after its cancel too often, and reports the first time. */
void insist_stop(lua_State *L, struct sched *sched, lua_Debug *ar);

/* The task has ended. */
void insist_forget(lua_State *L, struct task *task);

#endif
