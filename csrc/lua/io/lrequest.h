/* SPDX-License-Identifier: MIT
 * Reads an HTTP request from a Lua table. lua/braid/http/request.lua has checked and completed its options. The state's
 * own thread; nothing blocks. */
#ifndef BRAID_LREQUEST_H
#define BRAID_LREQUEST_H

#include <lua.h>

#include "core/http/request.h"

/* Reads the table at `index`: everything but method, URL and headers. Pushes the list of header lines, or nil.
 * The table must stay on the stack until the transfer has ended, because it keeps the strings alive. Raises if a field
 * is not valid. */
void lrequest_read(lua_State *L, int index, struct braid_request *request);

/* Makes libcurl's list of the header lines at the stack index `lines`. False when memory is out; does not raise. */
bool lrequest_read_headers(lua_State *L, int lines, struct braid_request *request);

#endif
