/* SPDX-License-Identifier: MIT
 * What a server's supervisor and its workers need of the system, as fields of braid.serve_core. */
#ifndef BRAID_LSUPERVISE_H
#define BRAID_LSUPERVISE_H

#include <lua.h>

/* Adds its functions to the table on the top of the stack. */
void lsupervise_open(lua_State *L);

#endif
