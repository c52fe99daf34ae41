/* SPDX-License-Identifier: MIT
 * Slices: some consecutive elements of a list, without a copy. A slice is sent as a table, with its elements and `n`.
 * In its own state it can be read like one. The state's own thread; nothing blocks. */
#ifndef BRAID_LSLICE_H
#define BRAID_LSLICE_H

#include <lua.h>

/* The list is user value 1. */
struct slice {
  lua_Integer first, count;
};

/* The slice at `index`; NULL: it is something else. */
const struct slice *lslice_test(lua_State *L, int index);

/* Pushes element `i` of the list at `list`. Returns its type. Raises what the list's metatable raises. */
int lslice_element(lua_State *L, int list, lua_Integer i);

#endif
