/* SPDX-License-Identifier: MIT
 * Boxes: the userdata through which a Lua state holds a shared object. A state has one box for an object. The state's
 * own thread; nothing blocks. */
#ifndef BRAID_LOBJECT_H
#define BRAID_LOBJECT_H

#include <lua.h>

#include "../core/refs.h"

struct luaL_Reg;

/* Registers a class: the metatable of its boxes, with these methods; pushes it. */
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

#endif
