/* SPDX-License-Identifier: MIT
 * Boxes: the userdata through which a Lua state holds a shared object. A state has one box for an object. The state's
 * own thread; nothing blocks. */
#ifndef BRAID_LOBJECT_H
#define BRAID_LOBJECT_H

#include <lua.h>

#include "core/base/object.h"

struct luaL_Reg;

/* Registers a class: the metatable of its boxes, with these methods; pushes it. A method "__share" is called with a
 * box before its object becomes shared, and may raise: then it does not. A "__gc" of its own begins with lobject_take.
 */
void lobject_class(lua_State *L, const struct braid_class *class, const struct luaL_Reg *methods);

/* Pushes an empty box; lobject_fill puts the object in, whose reference the box takes over. In this order because
 * making the box may raise, and filling it cannot. */
void lobject_box(lua_State *L, const struct braid_class *class);
/* NULL raises: memory was out. */
void lobject_fill(lua_State *L, struct braid_object *object);

/* The object in the box at `index`, or a misuse error naming its class. */
struct braid_object *lobject_check(lua_State *L, int index, const struct braid_class *class);

/* The object in the box at `index` if it is one of this class; else NULL. */
struct braid_object *lobject_test(lua_State *L, int index, const struct braid_class *class);

/* Whether the value at `index` is a box of any class; its object, NULL when the box is finalized. */
bool lobject_is_box(lua_State *L, int index, struct braid_object **object);

/* The object in the box at `index`, which is known to be one. */
struct braid_object *lobject_at(lua_State *L, int index);

/* Empties the box at `index`: its reference is the caller's. NULL when it was empty. */
struct braid_object *lobject_take(lua_State *L, int index);

/* Readies the object in the box at `index` for more threads than this one: before it leaves the state. False: the
 * class's __share failed, and its error is on the top of the stack. Raises when memory is out. */
bool lobject_share(lua_State *L, int index);

/* Pushes the state's box of an object that is shared, a new one when there is none; the caller keeps its reference.
 * Raises when the class is not registered here. */
void lobject_push(lua_State *L, struct braid_object *object);

#endif
