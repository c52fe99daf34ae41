/* SPDX-License-Identifier: MIT
 * What tasks and jobs have failed with. A failure is a table that the future has, { error, place }, and nobody else:
 * one that nobody has asked for is reported when its future is collected, so that long runs keep none. A scope
 * remembers those of its tasks for its end. The state's own thread; nothing blocks. */
#ifndef BRAID_LFAILURE_H
#define BRAID_LFAILURE_H

#include "lua/sched/lsched.h"

enum failure_part { FAILURE_ERROR = 1, FAILURE_PLACE };

/* Whether the error at `index` is but that of a cancel which stands for who runs. */
bool failure_is_echo(lua_State *L, const struct sched *sched, int index);

/* A C function for lua_pcall, the message handler at the bottom of coroutines: remembers the place of the error. */
int failure_handler(lua_State *L);

/* Pushes what the handler has remembered for the coroutine, and forgets it; nil when it was the echo of a cancel. */
void failure_place(lua_State *L, const lua_State *co);

/* A failure, in place of the error and its place, or nil, on the top. */
void failure_make(lua_State *L);

/* Arguments: a future that has failed. From now on its failure is reported, unless somebody asks for it; that of a
 * scope's task is the scope's. A C function, for protected calls. */
int failure_record(lua_State *L);

/* Somebody has asked for the failure of the future at `index`, or will when it has ended. */
void failure_ask(lua_State *L, int index);

/* Pushes the list of what has failed in a scope that is its, or nil, and forgets it: linked tasks, and failures that
 * nobody has asked for; the field `more` counts those of which no more is known. */
void failure_take(lua_State *L, struct scope *scope);

/* Whether a scope has failures now that are its. */
bool failure_counts(lua_State *L, struct scope *scope);

void lfailure_open(lua_State *L);

#endif
