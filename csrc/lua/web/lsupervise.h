/* SPDX-License-Identifier: MIT
 * Functions for a server's supervisor and its workers. */
#ifndef BRAID_LSUPERVISE_H
#define BRAID_LSUPERVISE_H

#include <lua.h>

/* Adds the functions to the table on the top of the stack. The state's own thread; does not block. */
void lsupervise_open(lua_State *L);

#endif
