/* SPDX-License-Identifier: MIT
 * Reasons of cancels: a side table with the address of the cancelled scope or task as key. The state's own thread. */
#ifndef BRAID_LREASON_H
#define BRAID_LREASON_H

#include <lua.h>

/* Pops the reason of a cancel from the top of the stack and keeps it. nil removes it. */
void reason_set(lua_State *L, const void *canceller);

/* Replaces the reason, or nil, on the top of the stack by the error of a cancel, with the message `what`. */
void reason_make_error(lua_State *L, const char *what);

/* Pushes the error of a cancel, with the message `what` and the reason. */
void reason_push_error(lua_State *L, const void *canceller, const char *what);

#endif
