/* SPDX-License-Identifier: MIT
 * Private Lua states, for workers: born, furnished so that several of them may run at once, closed. */
#ifndef BRAID_LSTATE_H
#define BRAID_LSTATE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* What a state has allocated, and may: the state's own thread only. */
struct lstate_memory {
  size_t used;
  size_t peak;   /* the most that it was, since somebody set this */
  size_t limit;  /* 0: none */
  bool exceeded; /* an allocation was refused for the limit */
};

/* A state without libraries, whose memory is counted; NULL when memory is out. The caller's thread owns it. */
lua_State *lstate_new(struct lstate_memory *memory);

/* Opens the libraries and makes them fit for a thread among others: loading C modules takes turns, os.exit ends the
 * job and not the process, print writes a line in one go. Raises. */
void lstate_furnish(lua_State *L);

/* Where the process is the worker's own, os.exit ends it. */
void lstate_free_exit(lua_State *L);

#endif
