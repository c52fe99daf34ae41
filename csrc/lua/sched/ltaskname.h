/* SPDX-License-Identifier: MIT
 * Names and ids of tasks, in side tables that most tasks never use. The state's own thread. */
#ifndef BRAID_LTASKNAME_H
#define BRAID_LTASKNAME_H

#include <lua.h>

/* Pushes the name of the task at `index`; nil if it has none. */
void taskname_push(lua_State *L, int index);

/* Pops the value on the top of the stack: it is the task's name from now on. */
void taskname_set(lua_State *L, int index);

/* The same for its id, which a job of a cluster may have. */
void taskname_push_id(lua_State *L, int index);
void taskname_set_id(lua_State *L, int index);

#endif
