/* SPDX-License-Identifier: MIT
 * What the server answers becomes fields of a *slot*, the Lua table of one statement. Methods of connections. The
 * state's own thread; nothing blocks. */
#ifndef BRAID_LPGANSWER_H
#define BRAID_LPGANSWER_H

#include <lua.h>

/* connection:take(slot) -> true: the work of the slot has ended; false: more must come; nil, reason: the connection is
 * lost. Sets slot.value or slot.err; for a description `parameters` and `columns`; `copy` when a copy begins. */
int lpganswer_take(lua_State *L);

/* connection:take_rows(slot, list, most) -> true: there are no more; false: the list has `most` rows, or more must
 * come; nil, reason: the connection is lost. Adds rows to the list. Sets slot.err. */
int lpganswer_take_rows(lua_State *L);

#endif
