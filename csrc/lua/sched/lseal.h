/* SPDX-License-Identifier: MIT
 * Coroutines that only the loop may go on with. One that is sealed looks to Lua as if it ran: its own coroutine.resume
 * and coroutine.close refuse it, whatever reference to them is used ("non-suspended", "normal"), debug.* reads it as
 * before. The state's own thread. */
#ifndef BRAID_LSEAL_H
#define BRAID_LSEAL_H

#include <lua.h>

struct seal {
  size_t place; /* where a lua_State keeps its status; 0: not known */
};

/* Finds that out. Before anything is sealed; raises when memory is out. */
void seal_open(lua_State *L, struct seal *seal);

/* `co` has yielded. */
static inline void seal_close(const struct seal *seal, lua_State *co) {
  if (seal->place) ((unsigned char *)co)[seal->place] = LUA_OK;
}

/* It is to be resumed: it has yielded before. */
static inline void seal_break(const struct seal *seal, lua_State *co) {
  if (seal->place) ((unsigned char *)co)[seal->place] = LUA_YIELD;
}

#endif
