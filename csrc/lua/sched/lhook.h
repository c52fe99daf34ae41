/* SPDX-License-Identifier: MIT
 * Debug hooks: the one place that sets them. A coroutine has room for one hook. Ours takes the place of the user's
 * (luacov's, a profiler's, a debugger's) while somebody wants to stop or to ask what runs, and puts it back. */
#ifndef BRAID_LHOOK_H
#define BRAID_LHOOK_H

#include <lua.h>
#include <stdbool.h>

enum { HOOK_MOST = 32 }; /* coroutines whose user's hook is kept aside; one more takes the place of the oldest */

struct hook_saved {
  lua_State *co;
  lua_Hook hook;
  int mask, count;
};

/* Of one state; the state's own thread, and signal handlers that interrupt it. */
struct hook_store {
  lua_Hook act;       /* what our hook does in this state. It ends with hook_disarm, or hook_arm to be called again */
  lua_State *leaving; /* where the next call of our hook is one of `leave`, once */
  lua_Hook leave;
  struct hook_saved saved[HOOK_MOST];
  unsigned next; /* the place of the oldest */
};

/* The state's store, which outlives its coroutines, and what our hook does there. Raises when memory is out. */
void hook_open(lua_State *L, struct hook_store *store, lua_Hook act, lua_Hook leave);

/* From now on `act` is called in `co`, as lua_sethook says. Async-signal-safe, as that is. */
void hook_arm(struct hook_store *store, lua_State *co, int mask, int count);

/* Whether the hook of `co` is ours. Async-signal-safe. */
bool hook_is_armed(lua_State *co);

/* The user's hook is back, or none. Nothing happens when ours is not armed. */
void hook_disarm(struct hook_store *store, lua_State *co);

/* Where ours is armed in `from`, it is in `co`, too: what is to be stopped runs on there. */
void hook_share(struct hook_store *store, lua_State *from, lua_State *co);

/* A new coroutine gets the user's hook of the one that makes it, as Lua's own do, and never ours. */
void hook_inherit(struct hook_store *store, lua_State *from, lua_State *co);

/* What ran in `co` has ended: ours is gone. False when it has a hook of the user's, which is not to meet what would run
 * there next. */
bool hook_end(struct hook_store *store, lua_State *co);

#endif
