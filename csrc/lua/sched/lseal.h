/* SPDX-License-Identifier: MIT
 * Coroutines that only the loop may go on with. One that is sealed looks to Lua as if it ran: its own coroutine.resume
 * and coroutine.close refuse it, whatever reference to them is used ("non-suspended", "normal"), debug.* reads it as
 * before. The state's own thread. */
#ifndef BRAID_LSEAL_H
#define BRAID_LSEAL_H

#include <lua.h>

/* Where a lua_State keeps its status; 0: not known. */
extern size_t seal_place;

/* Finds that out. Once, before anything is sealed. */
void seal_open(lua_State *L);

/* `co` has yielded. */
static inline void seal_close(lua_State *co) {
  if (seal_place) ((unsigned char *)co)[seal_place] = LUA_OK;
}

/* It is to be resumed: it has yielded before. */
static inline void seal_break(lua_State *co) {
  if (seal_place) ((unsigned char *)co)[seal_place] = LUA_YIELD;
}

#endif
