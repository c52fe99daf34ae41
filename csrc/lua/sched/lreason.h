/* SPDX-License-Identifier: MIT
 * Why something was cancelled: kept aside, under the address of the scope or task. The state's own thread. */
#ifndef BRAID_LREASON_H
#define BRAID_LREASON_H

#include <lua.h>

/* Keeps the reason for a cancel, which is on the top of the stack (nil: forgets it); pops it. */
void reason_set(lua_State *L, const void *canceller);

/* Pushes the error of a cancel: `what`, and the reason. */
void reason_push_error(lua_State *L, const void *canceller, const char *what);

#endif
