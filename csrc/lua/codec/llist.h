/* SPDX-License-Identifier: MIT
 * Lists: tables whose metatable, "braid.list", says that they are. `list.n` is how many elements there are. Where some
 * of them are nil, at the end or in between, a field `n` says so, which is no element: `pairs` passes over it. The
 * metatable travels with a list to other states. The state's own thread; nothing blocks. */
#ifndef BRAID_LLIST_H
#define BRAID_LLIST_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the metatable. */
void llist_metatable(lua_State *L);

/* Whether the table at `index` is a list. */
bool llist_is(lua_State *L, int index);

/* How many elements the list at `index` has; the last ones may be nil. */
lua_Integer llist_count(lua_State *L, int index);

/* Whether the key at `index` and the value behind it are a list's field `n`. */
bool llist_is_count(lua_State *L, int index);

#endif
