/* SPDX-License-Identifier: MIT
 * Private Lua states for workers. Several threads may run Lua at the same time, each in its own state. The state's own
 * thread. */
#ifndef BRAID_LSTATE_H
#define BRAID_LSTATE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* The memory of a state, and its limit. */
struct lstate_memory {
  size_t used;
  size_t peak;   /* the most in use since somebody set this */
  size_t limit;  /* 0: no limit */
  bool exceeded; /* the limit has refused an allocation */
};

/* Makes a state without libraries that counts its memory. NULL when memory is out. The calling thread owns it. Does not
 * block. */
lua_State *lstate_new(struct lstate_memory *memory);

/* Opens the libraries and makes them safe with threads: threads load C modules one at a time, os.exit ends the job, and
 * print makes one write. Raises. Does not block. */
void lstate_furnish(lua_State *L);

/* For a worker with its own process: os.exit ends the process. Does not block. */
void lstate_free_exit(lua_State *L);

#endif
