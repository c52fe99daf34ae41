/* SPDX-License-Identifier: MIT
 * Lists: tables with the metatable "braid.list". `list.n` is the number of elements. If some are nil, a field `n`
 * stores this number; it is no element, and `pairs` skips it. A list keeps its metatable when it is sent to another
 * state. The state's own thread; nothing blocks. */
#ifndef BRAID_LLIST_H
#define BRAID_LLIST_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the metatable. */
void llist_metatable(lua_State *L);

/* Whether the table at `index` is a list. */
bool llist_is(lua_State *L, int index);

/* The number of elements of the list at `index`, including nils. */
lua_Integer llist_count(lua_State *L, int index);

/* Whether the key at `index` and the value above it are the field `n` of a list. */
bool llist_is_count(lua_State *L, int index);

#endif
