/* SPDX-License-Identifier: MIT
 * Lua values as items of queues and other objects, and back. The state's own thread; nothing blocks. */
#ifndef BRAID_LITEM_H
#define BRAID_LITEM_H

#include <lua.h>

#include "core/sync/dict.h"

/* Makes an item of the value at `index`, for the object in the box at `box`. Numbers, booleans and null are stored in
 * the item. Other values become messages if the object is shared. If not, the value stays in this state, in the box,
 * and the item is a reference to it. Raises kind "not_sendable", or that memory is out. */
struct braid_item litem_make(lua_State *L, int index, int box);

/* The same, but never makes a reference. nil becomes BRAID_ITEM_NONE. */
struct braid_item litem_copy(lua_State *L, int index);

/* Makes an item of a number, a boolean or null. False: it is another value. Does not raise. */
bool litem_make_small(lua_State *L, int index, struct braid_item *item);

/* Pushes the value of an item that is neither a message nor a reference. Does not raise. */
void litem_push_small(lua_State *L, struct braid_item item);

/* Pushes the value and drops the item, even when it raises: a message may need something that this state does not have.
 */
void litem_push(lua_State *L, struct braid_item item, int box);

/* The same for an item from a get. If it was lost between two processes (see braid_connection_items), pushes nil and an
 * error. Returns the number of pushed values. */
int litem_push_got(lua_State *L, struct braid_item item, int box);

/* Drops an item without pushing it. */
void litem_drop(lua_State *L, struct braid_item item, int box);

/* Pushes the value of an item that is a reference in the box at `box`. Keeps the reference. */
void litem_peek(lua_State *L, struct braid_item item, int box);

/* The priority of the value at `index`: the number itself, or the first element of a list. Raises misuse otherwise. */
double litem_key(lua_State *L, int index);

/* Makes a dict's key of the value at `index`. The key is valid while the value is on the stack. Raises misuse. */
struct braid_key litem_dict_key(lua_State *L, int index);

/* Pushes the keys in the buffer as a list and frees the buffer. Raises when memory is out; `whole` is false if it was
 * out before. */
int litem_push_keys(lua_State *L, struct braid_buffer *keys, bool whole);

#endif
