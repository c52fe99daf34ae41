/* SPDX-License-Identifier: MIT
 * Lua values as items of a queue and back. The state's own thread; nothing blocks. */
#ifndef BRAID_LITEM_H
#define BRAID_LITEM_H

#include <lua.h>

#include "core/sync/dict.h"

/* The value at `index` as an item for the object in the box at `box`. Numbers and the like travel as they are. Other
 * values become messages when the object is shared; when it is not they stay in this state, in the box, and the item
 * is the value's number there. Raises kind "not_sendable", or that memory is out. */
struct braid_item litem_make(lua_State *L, int index, int box);

/* The same for any object: the item is never a number in a box. nil is BRAID_ITEM_NONE. */
struct braid_item litem_copy(lua_State *L, int index);

/* Pushes the value; the item is used up, also when it raises: a message's value may need what is not in this state. */
void litem_push(lua_State *L, struct braid_item item, int box);

/* The same for what a get has got: pushes the value, or nil and an error when it was lost between two processes (see
 * braid_connection_items). Returns how many. */
int litem_push_got(lua_State *L, struct braid_item item, int box);

/* Gives an item up that nobody took. */
void litem_drop(lua_State *L, struct braid_item item, int box);

/* Pushes the value of an item that is a number in the box at `box`, and leaves it there. */
void litem_peek(lua_State *L, struct braid_item item, int box);

/* The priority of the value at `index`: a number is its own, a list's is its first element. Raises misuse otherwise. */
double litem_key(lua_State *L, int index);

/* The value at `index` as a dict's key, good as long as it is on the stack. Raises misuse. */
struct braid_key litem_dict_key(lua_State *L, int index);

/* Pushes the keys in the buffer as a list, and ends the buffer. Raises when memory is out, or was: not `whole`. */
int litem_push_keys(lua_State *L, struct braid_buffer *keys, bool whole);

#endif
