/* SPDX-License-Identifier: MIT
 * Tables of a Lua state that Lua code cannot reach, each under the address of a static variable. The state's thread. */
#ifndef BRAID_LREGISTRY_H
#define BRAID_LREGISTRY_H

#include <lua.h>

/* Pushes the registry's table under this key. When it is missing it is made, with `mode` as its __mode (NULL: it is not
 * weak), which may raise for want of memory. */
void lregistry_table(lua_State *L, const void *key, const char *mode);

#endif
