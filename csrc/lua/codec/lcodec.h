/* SPDX-License-Identifier: MIT
 * Values into bytes and back: how everything travels from one Lua state to another. Tables keep their cycles, shared
 * parts and metatables, functions their upvalues; what has a name in a loaded module travels by it; shared objects
 * travel by reference. The state's own thread; nothing blocks. */
#ifndef BRAID_LCODEC_H
#define BRAID_LCODEC_H

#include <lua.h>

#include "core/sync/message.h"

/* The values at index, index + 1, ... as a message, which is the caller's. `what` they are to the user: "argument",
 * "result" or "item". Raises kind "not_sendable" with the path to what cannot travel; what a __braid_pack raises; or
 * that memory is out. Shared objects among them are shared from then on, also when it raises. */
struct braid_message *lcodec_encode(lua_State *L, int index, int count, const char *what);

/* NULL: the object may leave this process; else a sentence that says why not. */
typedef const char *lcodec_border(const struct braid_object *object);

/* The same for a message that crosses a border: what may not leave is refused. */
struct braid_message *lcodec_encode_across(lua_State *L, int index, int count, const char *what, lcodec_border *border);

/* Pushes the values and returns how many; the message stays the caller's. May require modules, and call the functions
 * that __braid_pack gave. Raises what these raise, kind "not_sendable", or that memory is out. Bytes that no encoder
 * wrote are refused; yet they can name any function of a module to be called, so they must not come from outside. */
int lcodec_decode(lua_State *L, const struct braid_message *message);

/* The same, and uses the message up, also when it raises. */
int lcodec_take(lua_State *L, struct braid_message *message);

/* Pushes which function the message begins with, without decoding it: where that was defined, "file:line", or its name,
 * "string.format". Where it is braid's own, the one that it is to call. */
void lcodec_push_callee(lua_State *L, const struct braid_message *message);

/* The most bytes and values of one message, in all states. Any thread. */
void lcodec_limit(size_t bytes, size_t values);

#endif
