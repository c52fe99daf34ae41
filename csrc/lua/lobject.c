/* SPDX-License-Identifier: MIT
 * A box owns one reference. Its user value 1 is for values that the object keeps by reference (see lqueue). */
#include "lobject.h"

#include <lauxlib.h>

#include "larg.h"
#include "lerror.h"
#include "lsched.h"

struct box {
  struct braid_object *object; /* NULL: not filled, or finalized */
};

static int close_box(lua_State *L) {
  struct box *box = lua_touserdata(L, 1);
  struct braid_object *object = box->object;
  box->object = NULL;
  if (object) braid_object_unref(object);
  return 0;
}

void lobject_class(lua_State *L, const struct braid_class *class, const luaL_Reg *methods) {
  sched_class(L, class->name, methods);
  lua_pushcfunction(L, close_box);
  lua_setfield(L, -2, "__gc");
}

void lobject_box(lua_State *L, const struct braid_class *class) {
  struct box *box = lua_newuserdatauv(L, sizeof *box, 1);
  box->object = NULL;
  luaL_setmetatable(L, class->name);
}

void lobject_fill(lua_State *L, struct braid_object *object) {
  if (!object) lerror_memory(L);
  ((struct box *)lua_touserdata(L, -1))->object = object;
}

struct braid_object *lobject_test(lua_State *L, int index, const struct braid_class *class) {
  struct box *box = luaL_testudata(L, index, class->name);
  return box ? box->object : NULL;
}

struct braid_object *lobject_check(lua_State *L, int index, const struct braid_class *class) {
  struct braid_object *object = lobject_test(L, index, class);
  if (!object) larg_error(L, index, index == 1 ? "self" : "object", class->name);
  return object;
}
