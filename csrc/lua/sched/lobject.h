/* SPDX-License-Identifier: MIT
 * Boxes. A box is the userdata through which a Lua state holds a shared object. A state has one box for each object.
 * The state's own thread; nothing blocks. */
#ifndef BRAID_LOBJECT_H
#define BRAID_LOBJECT_H

#include <lua.h>

#include "core/base/object.h"

struct luaL_Reg;

/* The beginning of a userdata that __share returns: how the object changes when it becomes shared. `commit` is called
 * on the state's thread, before another thread can know the object. It must not raise. */
struct lobject_change {
  void (*commit)(lua_State *L, int box, struct lobject_change *change);
};

/* Registers a class: makes the metatable of its boxes, with these methods, and pushes it. The method "__share" is
 * called with a box before its object becomes shared; if it raises, the object stays unshared. It does not change the
 * object, but may return a lobject_change. A "__gc" of the class must begin with lobject_take. */
void lobject_class(lua_State *L, const struct braid_class *class, const struct luaL_Reg *methods);

/* Pushes an empty box. lobject_fill then puts the object in, and the box takes over the caller's reference. There are
 * two calls because making a box may raise, while filling it cannot. */
void lobject_box(lua_State *L, const struct braid_class *class);
/* NULL raises: there was no memory for the object. */
void lobject_fill(lua_State *L, struct braid_object *object);

/* The object in the box at `index`. Raises a misuse error that names the class for any other value. */
struct braid_object *lobject_check(lua_State *L, int index, const struct braid_class *class);

/* The object in the box at `index` if it is of this class; else NULL. */
struct braid_object *lobject_test(lua_State *L, int index, const struct braid_class *class);

/* Whether the value at `index` is a box of any class. Sets the object; NULL if the box is finalized. */
bool lobject_is_box(lua_State *L, int index, struct braid_object **object);

/* The object at `index`, which must be a box. */
struct braid_object *lobject_at(lua_State *L, int index);

/* Empties the box at `index`: its reference goes to the caller. NULL if it was empty. */
struct braid_object *lobject_take(lua_State *L, int index);

/* Makes the object in the box at `index` safe for several threads, before it leaves the state. Returns false if the
 * class's __share failed; its error is then on the top of the stack. Raises when memory is out. */
bool lobject_share(lua_State *L, int index);

/* Calls `visit` for each shared object of which the state has a box. May raise when memory is out. */
void lobject_visit(lua_State *L, void (*visit)(struct braid_object *object, void *context), void *context);

/* Pushes the state's box of a shared object; makes one if there is none. The caller keeps its own reference. Raises if
 * the class is not registered in this state. */
void lobject_push(lua_State *L, struct braid_object *object);

#endif
