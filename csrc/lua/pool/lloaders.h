/* SPDX-License-Identifier: MIT
 * The loaders in package.preload that are C functions: modules that are parts of the program. They cannot be sent, but
 * every state of the process can call them. Nothing blocks. */
#ifndef BRAID_LLOADERS_H
#define BRAID_LLOADERS_H

#include <lua.h>
#include <stddef.h>

struct loader {
  lua_CFunction function;
  char *module; /* owned */
};

struct loaders {
  struct loader *list; /* owned */
  size_t count;
};

/* Fills an empty list with those of this state. Without memory some are missing. The state's own thread. */
void loaders_collect(lua_State *L, struct loaders *loaders);

/* Enters them in package.preload, which is on the top of the stack. The state's own thread. */
void loaders_set(lua_State *L, const struct loaders *loaders);

/* Any thread. */
void loaders_term(struct loaders *loaders);

#endif
