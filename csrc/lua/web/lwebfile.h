/* SPDX-License-Identifier: MIT
 * Files of a folder that are sent to clients: userdata "braid.web_file". The state's own thread; blocks as file systems
 * do. */
#ifndef BRAID_LWEBFILE_H
#define BRAID_LWEBFILE_H

#include <lua.h>

/* The descriptor of the file at `index`, which the caller may take over by setting it to -1. */
int *lwebfile_check(lua_State *L, int index);

#endif
