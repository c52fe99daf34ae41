/* SPDX-License-Identifier: MIT
 * Debug hooks. This is the only file that sets them. A coroutine has room for one hook. braid's hook replaces the
 * user's (of luacov, a profiler, a debugger) while code has to be stopped or asked what it does, and then puts the
 * user's back. */
#ifndef BRAID_LHOOK_H
#define BRAID_LHOOK_H

#include <lua.h>
#include <stdbool.h>

enum { HOOK_MOST = 32 }; /* saved hooks of the user, one a coroutine; one more replaces the oldest */

struct hook_saved {
  lua_State *co;
  lua_Hook hook;
  int mask, count;
};

/* Belongs to one state. The state's own thread, and signal handlers that interrupt it. */
struct hook_store {
  lua_Hook act;       /* what braid's hook does. It ends with hook_disarm, or with hook_arm to be called again */
  lua_State *leaving; /* the next call of the hook in this coroutine calls `leave`, once */
  lua_Hook leave;
  struct hook_saved saved[HOOK_MOST];
  unsigned next; /* index of the oldest */
};

/* Sets the state's store, which outlives its coroutines, and the functions of its hook. Raises when memory is out. */
void hook_open(lua_State *L, struct hook_store *store, lua_Hook act, lua_Hook leave);

/* From now on `act` is called in `co`; mask and count are those of lua_sethook. Async-signal-safe, as lua_sethook is.
 */
void hook_arm(struct hook_store *store, lua_State *co, int mask, int count);

/* Whether the hook of `co` is braid's. Async-signal-safe. */
bool hook_is_armed(lua_State *co);

/* Puts the user's hook back, or none. Does nothing if braid's hook is not armed. */
void hook_disarm(struct hook_store *store, lua_State *co);

/* If the hook is armed in `from`, arms it in `co` too: the code that has to be stopped continues there. */
void hook_share(struct hook_store *store, lua_State *from, lua_State *co);

/* Gives a new coroutine the user's hook of the coroutine that makes it, as Lua does, but never braid's. */
void hook_inherit(struct hook_store *store, lua_State *from, lua_State *co);

/* The code in `co` has ended: disarms the hook. Returns false if `co` still has a hook of the user; such a coroutine
 * must not be used for another task. */
bool hook_end(struct hook_store *store, lua_State *co);

#endif
