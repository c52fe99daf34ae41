/* SPDX-License-Identifier: MIT
 * Userdata "braid.http_request": an HTTP request that was read from a Lua table, but for its URL. It can be used for
 * many transfers. lua/braid/http/request.lua has checked and completed its options. Its user values are the method and
 * the table, which keep its strings alive. */
#ifndef BRAID_LREQUEST_H
#define BRAID_LREQUEST_H

#include <lua.h>

#include "core/http/request.h"

#define LREQUEST "braid.http_request"

/* Adds http_request to the table on the top of the stack, and the class. */
void lrequest_open(lua_State *L);

#endif
