/* SPDX-License-Identifier: MIT
 * Encodes Lua values into messages and decodes them: so values get from one Lua state to another. Cycles, shared parts
 * and metatables of tables are kept, and so are upvalues of functions. A value that is a named part of a loaded module
 * is sent by name. Shared objects are sent by reference. The state's own thread; nothing blocks. */
#ifndef BRAID_LCODEC_H
#define BRAID_LCODEC_H

#include <lua.h>

#include "core/sync/message.h"

/* Encodes the `count` values from `index` on; the caller owns the message. `what` names them in errors: "argument",
 * "result" or "item". Raises kind "not_sendable" with the path to the value that cannot be sent; an error of
 * __braid_pack; or that memory is out. Marks shared objects among the values as shared, even when it raises. */
struct braid_message *lcodec_encode(lua_State *L, int index, int count, const char *what);

/* Whether an object may leave this process: NULL if so, else a sentence that says why not. */
typedef const char *lcodec_border(const struct braid_object *object);

/* The same for a message to another process. Objects that `border` refuses make it raise kind "not_sendable". */
struct braid_message *lcodec_encode_across(lua_State *L, int index, int count, const char *what, lcodec_border *border);

/* Pushes the values and returns their number. The caller keeps the message. May require modules, and call functions
 * that a __braid_pack returned. Raises their errors, kind "not_sendable", or that memory is out. It refuses malformed
 * bytes; but a well-formed message can make it call any function of any module, so bytes must not come from outside. */
int lcodec_decode(lua_State *L, const struct braid_message *message);

/* The same, but drops the message, even when it raises. */
int lcodec_take(lua_State *L, struct braid_message *message);

/* Makes a message of the bytes at `index` and the list of boxes, or nil, at `index` + 1; the caller owns it. The bytes
 * are those of an encoded message (core.freeze). Raises for other arguments, or that memory is out. */
struct braid_message *lcodec_thawed(lua_State *L, int index);

/* Pushes a text that says which function the message's first value is, without decoding it: "file:line" of its
 * definition or its name, "string.format". If that is a function of braid that calls the second value, it says that
 * one. */
void lcodec_push_callee(lua_State *L, const struct braid_message *message);

#endif
