/* SPDX-License-Identifier: MIT
 * Addresses and errors of sockets, as Lua has them. The state's own thread. */
#ifndef BRAID_LNET_H
#define BRAID_LNET_H

#include <lua.h>

#include "core/net/socket.h"

/* Pushes the address as a string. */
void lnet_push_address(lua_State *L, const struct braid_address *address);

/* The address at `index`; raises if it is something else. */
struct braid_address lnet_address(lua_State *L, int index);

/* Pushes nil and the error for a positive error number; returns 2. */
int lnet_refuse(lua_State *L, int error, const char *what);

#endif
