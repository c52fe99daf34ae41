/* SPDX-License-Identifier: MIT
 * Failures of tasks and jobs. A failure is a table { error, place } that only the future holds. If nobody has asked for
 * it, it is reported when the future is collected; so a long run does not keep failures. A scope remembers the failures
 * of its tasks for its end. The state's own thread; nothing blocks. */
#ifndef BRAID_LFAILURE_H
#define BRAID_LFAILURE_H

#include "lua/sched/lsched.h"

enum failure_part { FAILURE_ERROR = 1, FAILURE_PLACE };

/* Whether the error at `index` is only an echo: the error of a cancel that is still active for the running task. */
bool failure_is_echo(lua_State *L, const struct sched *sched, int index);

/* A message handler for lua_pcall at the bottom of coroutines: remembers the place of the error. */
int failure_handler(lua_State *L);

/* Pushes the place that the handler remembered for the coroutine, and forgets it; nil for the echo of a cancel. */
void failure_place(lua_State *L, const lua_State *co);

/* Replaces the error and its place (or nil) on the top of the stack by a failure. */
void failure_make(lua_State *L);

/* Argument: a future that has failed. From now on its failure is reported, unless somebody asks for it. For a task of a
 * scope it is also entered in the scope's failure table. A C function, for protected calls. */
int failure_record(lua_State *L);

/* Somebody has asked for the failure of the future at `index`, or will see it when it has ended. */
void failure_ask(lua_State *L, int index);

/* Pushes the list of failures that the scope has to raise, or nil, and forgets it: linked tasks that failed, and
 * failures that nobody has asked for. Its field `more` counts the failures that were not kept. */
void failure_take(lua_State *L, struct scope *scope);

/* Whether the scope has failures now that it would have to raise. */
bool failure_counts(lua_State *L, struct scope *scope);

void lfailure_open(lua_State *L);

#endif
