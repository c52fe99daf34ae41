/* SPDX-License-Identifier: MIT
 * Dicts, for Lua. Values are messages or small values, so a get returns a copy. An update holds the dict's lock. The
 * lock's userdata is the user value of the dict's. */
#include "core/sync/dict.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/codec/litem.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

static struct braid_dict *check(lua_State *L) {
  return braid_container(lobject_check(L, 1, &braid_dict_class), struct braid_dict, object);
}

static int dict_new(lua_State *L) {
  lobject_box(L, &braid_dict_class);
  struct braid_dict *dict = braid_dict_new();
  lobject_fill(L, dict ? &dict->object : NULL);
  return 1;
}

static int dict_get(lua_State *L) {
  struct braid_dict *dict = check(L);
  struct braid_key key = litem_dict_key(L, 2);
  struct braid_item item;
  if (braid_dict_get(dict, &key, &item))
    litem_push(L, item, 1);
  else
    lua_pushnil(L);
  return 1;
}

/* dict:_set(key, value) -> false if another task holds the lock */
static int dict_set(lua_State *L) {
  struct braid_dict *dict = check(L);
  struct braid_key key = litem_dict_key(L, 2);
  struct braid_item item = litem_copy(L, 3);
  enum braid_status status = braid_dict_set(dict, &key, item, (uint64_t)(uintptr_t)sched_of(L)->current);
  if (status != BRAID_OK) braid_item_drop(item);
  if (status == BRAID_NO_MEMORY) lerror_memory(L);
  lua_pushboolean(L, status == BRAID_OK);
  return 1;
}

static int dict_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)braid_dict_size(check(L)));
  return 1;
}

/* dict:_lock() -> the lock */
static int dict_lock(lua_State *L) {
  struct braid_dict *dict = check(L);
  if (lua_getiuservalue(L, 1, 1) == LUA_TUSERDATA) return 1;
  lobject_push(L, &dict->lock->object);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
  return 1;
}

/* dict:_mine() -> whether the calling task holds the lock */
static int dict_mine(lua_State *L) {
  lua_pushboolean(L, braid_lock_owner(check(L)->lock) == (uint64_t)(uintptr_t)sched_of(L)->current);
  return 1;
}

static int dict_keys(lua_State *L) {
  struct braid_dict *dict = check(L);
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  bool written = braid_dict_keys(dict, &buffer);
  return litem_push_keys(L, &buffer, written);
}

/* Shares the lock together with the dict. */
static int dict_share(lua_State *L) {
  dict_lock(L);
  return lobject_share(L, -1) ? 0 : lua_error(L);
}

static int dict_gc(lua_State *L) {
  struct braid_object *object = lobject_take(L, 1);
  if (object) braid_dict_leave(braid_container(object, struct braid_dict, object));
  return 0;
}

static const luaL_Reg methods[] = {
    {"get", dict_get},    {"_set", dict_set},      {"size", dict_size}, {"keys", dict_keys}, {"_lock", dict_lock},
    {"_mine", dict_mine}, {"__share", dict_share}, {"__gc", dict_gc},   {NULL, NULL},
};

static const luaL_Reg functions[] = {{"dict_new", dict_new}, {NULL, NULL}};

void ldict_open(lua_State *L) {
  sched_register(L, functions);
  lobject_class(L, &braid_dict_class, methods);
  lua_setfield(L, -2, "Dict");
}
