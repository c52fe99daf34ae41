/* SPDX-License-Identifier: MIT
 * Names of tasks: in a side table, which most tasks never touch. The state's own thread. */
#ifndef BRAID_LTASKNAME_H
#define BRAID_LTASKNAME_H

#include <lua.h>

/* Pushes the name of the task at `index`; nil when it has none. */
void taskname_push(lua_State *L, int index);

/* Its name is the value on the top of the stack; pops it. */
void taskname_set(lua_State *L, int index);

#endif
