/* SPDX-License-Identifier: MIT
 * A box owns one reference. Its user value 1 is free for values that the object refers to (see lqueue). Only a shared
 * object can come back to a state that already has a box for it, so the map holds only boxes of shared objects. */
#include "lua/sched/lobject.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lregistry.h"
#include "lua/sched/lsched.h"

struct box {
  const struct braid_class *class; /* tells a box from other userdata of the same size, without its metatable */
  struct braid_object *object;     /* NULL: not filled yet, or finalized */
};

static const char CLASS;   /* its address is a key in the metatables of boxes */
static const char BOXES;   /* registry key of the map: object -> box, weak values */
static const char SHARING; /* registry key of the list of objects that are being shared */

struct braid_object *lobject_take(lua_State *L, int index) {
  struct box *box = lua_touserdata(L, index);
  struct braid_object *object = box ? box->object : NULL;
  if (box) box->object = NULL;
  return braid_loop_is_fork ? NULL : object; /* a thread that does not exist here may hold its guard */
}

static int close_box(lua_State *L) {
  struct braid_object *object = lobject_take(L, 1);
  if (object) braid_object_unref(object);
  return 0;
}

void lobject_class(lua_State *L, const struct braid_class *class, const luaL_Reg *methods) {
  sched_class(L, class->name, methods);
  lua_pushboolean(L, 1);
  lua_rawsetp(L, -2, &CLASS);
  if (lua_getfield(L, -1, "__gc") == LUA_TNIL) {
    lua_pushcfunction(L, close_box);
    lua_setfield(L, -3, "__gc");
  }
  lua_pop(L, 1);
}

void lobject_box(lua_State *L, const struct braid_class *class) {
  struct box *box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = (struct box){.class = class};
  luaL_setmetatable(L, class->name);
}

void lobject_fill(lua_State *L, struct braid_object *object) {
  if (!object) lerror_memory(L);
  ((struct box *)lua_touserdata(L, -1))->object = object;
}

static struct box *box_of(lua_State *L, int index, const struct braid_class *class) {
  struct box *box = lua_touserdata(L, index);
  if (!box || lua_rawlen(L, index) != sizeof *box) return NULL; /* a light userdata has no length */
  return box->class == class ? box : NULL;
}

struct braid_object *lobject_test(lua_State *L, int index, const struct braid_class *class) {
  struct box *box = box_of(L, index, class);
  return box ? box->object : NULL;
}

struct braid_object *lobject_check(lua_State *L, int index, const struct braid_class *class) {
  struct box *box = box_of(L, index, class);
  if (!box) larg_refuse(L, index, class->name);
  if (!box->object) lerror_misuse(L, "this %s is gone: its state is about to end", class->name);
  sched_check_fork(L);
  return box->object;
}

bool lobject_is_box(lua_State *L, int index, struct braid_object **object) {
  if (!lua_getmetatable(L, index)) return false;
  bool is_box = lua_rawgetp(L, -1, &CLASS) != LUA_TNIL;
  lua_pop(L, 2);
  if (is_box) *object = lobject_at(L, index);
  return is_box;
}

struct braid_object *lobject_at(lua_State *L, int index) {
  return ((struct box *)lua_touserdata(L, index))->object;
}

/* ---- from state to state -------------------------------------------------------------------------------------- */

static void push_map(lua_State *L) { lregistry_table(L, &BOXES, "v"); }

/* Pushes the list of the objects that are being shared: a box, its change or false, and so on. The outermost object
 * makes the list. Appends the box, and returns the index of its change. */
static lua_Integer enlist(lua_State *L, int box, bool *outermost) {
  *outermost = lua_rawgetp(L, LUA_REGISTRYINDEX, &SHARING) == LUA_TNIL;
  if (*outermost) {
    lua_pop(L, 1);
    lua_createtable(L, 2, 0);
  }
  lua_Integer at = (lua_Integer)lua_rawlen(L, -1) + 2;
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, at);
  lua_pushvalue(L, box);
  lua_rawseti(L, -2, at - 1);
  if (*outermost) { /* last, because nothing may raise between this and `settle` */
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SHARING);
  }
  return at;
}

/* Commits the changes of all objects in the list, or makes all of them unshared again. Does not raise. */
static void settle(lua_State *L, int list, bool shared) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer at = 2; at <= count; at += 2) {
    lua_rawgeti(L, list, at - 1);
    lua_rawgeti(L, list, at);
    struct lobject_change *change = lua_touserdata(L, -1);
    if (!shared) lobject_at(L, -2)->guard.shared = false; /* it has not left the state */
    if (shared && change) change->commit(L, lua_absindex(L, -2), change);
    lua_pop(L, 2);
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &SHARING);
}

/* Objects may hold each other, and then the messages of one refer to the other. So no object changes before it is known
 * that all of them can be shared. */
static bool share_with_content(lua_State *L, int box) {
  enum { SLOTS = 10 }; /* reserved for `settle` and `commit`, which must not raise */
  bool outermost;
  luaL_checkstack(L, SLOTS, NULL);
  luaL_getmetafield(L, box, "__share");
  lua_Integer at = enlist(L, box, &outermost);
  int list = lua_gettop(L);
  braid_object_share(lobject_at(L, box)); /* before __share: the content may refer to the object itself */
  lua_pushvalue(L, list - 1);
  lua_pushvalue(L, box);
  bool shared = lua_pcall(L, 1, 1, 0) == LUA_OK;
  if (shared && lua_isuserdata(L, -1)) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, list, at);
  }
  if (outermost) settle(L, list, shared);
  lua_replace(L, list - 1);
  lua_settop(L, shared ? list - 2 : list - 1);
  return shared;
}

bool lobject_share(lua_State *L, int index) {
  struct braid_object *object = lobject_at(L, index);
  if (object->guard.shared) return true;
  index = lua_absindex(L, index);
  push_map(L);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, object);
  lua_pop(L, 1);
  const struct sched *sched = sched_open(L);
  if (sched->solitary && braid_list_empty(&sched->pools)) return true;
  if (luaL_getmetafield(L, index, "__share") != LUA_TNIL) {
    lua_pop(L, 1);
    return share_with_content(L, index);
  }
  braid_object_share(object);
  return true;
}

void lobject_push(lua_State *L, struct braid_object *object) {
  push_map(L);
  if (lua_rawgetp(L, -1, object) == LUA_TUSERDATA && lobject_at(L, -1)) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  if (!lregistry_know(L, object->class->name))
    lerror_raise(L, "not_sendable", "%s is not known in this state", object->class->name);
  lobject_box(L, object->class);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, object);
  braid_object_ref(object);
  lobject_fill(L, object);
  lua_remove(L, -2);
}

void lobject_visit(lua_State *L, void (*visit)(struct braid_object *object, void *context), void *context) {
  luaL_checkstack(L, 4, NULL);
  push_map(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    struct braid_object *object = lobject_at(L, -1);
    if (object && object->guard.shared) visit(object, context);
  }
  lua_pop(L, 1);
}
