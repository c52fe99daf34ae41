/* SPDX-License-Identifier: MIT
 * An HTTP request as Lua describes it: a table, whose options lua/braid/http/request.lua has checked and completed. The
 * state's own thread; nothing blocks. */
#ifndef BRAID_LREQUEST_H
#define BRAID_LREQUEST_H

#include <lua.h>

#include "core/http/request.h"

/* Reads the table at `index`, all but method, URL and headers. Pushes the list of header lines or nil, and above it
 * what a form needs. The strings are the table's: both stay until the transfer has ended. Raises for what is no
 * request. */
void lrequest_read(lua_State *L, int index, struct braid_request *request);

/* Makes libcurl's list of the header lines, which stand at `lines`. Raises nothing; false when memory is out. */
bool lrequest_read_headers(lua_State *L, int lines, struct braid_request *request);

#endif
