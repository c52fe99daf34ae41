/* SPDX-License-Identifier: MIT
 * Tables of a Lua state that Lua code cannot reach, each under the address of a static variable. The state's thread. */
#ifndef BRAID_LREGISTRY_H
#define BRAID_LREGISTRY_H

#include <lua.h>

/* Pushes the registry's table under this key. When it is missing it is made, with `mode` as its __mode (NULL: it is not
 * weak), which may raise for want of memory. */
void lregistry_table(lua_State *L, const void *key, const char *mode);

/* Keeps the value on the top of the stack in the table under this key, and pops it: returns its slot. May raise for
 * want of memory. Slots are used again, so that what comes and goes all the time costs no rehash. */
int lregistry_keep(lua_State *L, const void *key);
/* Pushes it. */
void lregistry_kept(lua_State *L, const void *key, int slot);
/* Pushes it, and it is kept no longer. */
void lregistry_take(lua_State *L, const void *key, int slot);
void lregistry_drop(lua_State *L, const void *key, int slot);

#endif
