/* SPDX-License-Identifier: MIT
 * Tables of a Lua state that Lua code cannot reach. The key of each is the address of a static variable. The state's
 * own thread. */
#ifndef BRAID_LREGISTRY_H
#define BRAID_LREGISTRY_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the registry's table with this key. Makes it first if it is missing, with `mode` as __mode (NULL: not weak);
 * this raises when memory is out. */
void lregistry_table(lua_State *L, const void *key, const char *mode);

/* Pops the value on the top of the stack, keeps it in the table with this key and returns its slot. Raises when memory
 * is out. Slots are used again, so a value that comes and goes often causes no rehash. */
int lregistry_keep(lua_State *L, const void *key);
/* Pushes the value in this slot. */
void lregistry_kept(lua_State *L, const void *key, int slot);
/* Frees the slot. */
void lregistry_drop(lua_State *L, const void *key, int slot);

/* The registry's field with a function that opens more parts of the C module, and returns false if all are open. */
#define LREGISTRY_MORE "braid.open_more"

/* Whether a metatable is registered under this name. Opens parts of the module until it is there; this raises when
 * memory is out. */
bool lregistry_know(lua_State *L, const char *class);

/* Pushes a function of the Lua layer (see `set_hook` in lopen.c). If it is not set, loads braid.errors first, where
 * most of them are. False, and pushes nothing: there is none. Raises only when memory is out. */
bool lregistry_hook(lua_State *L, const char *name);

#endif
