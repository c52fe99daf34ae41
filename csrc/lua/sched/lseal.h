/* SPDX-License-Identifier: MIT
 * Sealed coroutines, which only the loop may resume. To Lua a sealed coroutine looks as if it ran. So coroutine.resume
 * and coroutine.close refuse it ("non-suspended", "normal"), whatever reference to these functions the code has.
 * debug.* reads it as before. The state's own thread. */
#ifndef BRAID_LSEAL_H
#define BRAID_LSEAL_H

#include <lua.h>

struct seal {
  size_t place; /* offset of the status byte in a lua_State; 0: unknown */
};

/* Finds the offset. Must be called before anything is sealed. Raises when memory is out. */
void seal_open(lua_State *L, struct seal *seal);

/* Seals `co`, which has yielded. */
static inline void seal_close(const struct seal *seal, lua_State *co) {
  if (seal->place) ((unsigned char *)co)[seal->place] = LUA_OK;
}

/* Makes `co` resumable again. It has yielded before. */
static inline void seal_break(const struct seal *seal, lua_State *co) {
  if (seal->place) ((unsigned char *)co)[seal->place] = LUA_YIELD;
}

#endif
