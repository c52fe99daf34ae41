/* SPDX-License-Identifier: MIT
 * References are slots of a table in the box's user value 1; an item that is a message owns it. */
#include "litem.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "lcodec.h"
#include "lerror.h"
#include "lobject.h"

static struct braid_item refer(lua_State *L, int index, int box) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, box, 1) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, box, 1);
  }
  lua_pushvalue(L, index);
  struct braid_item item = {(uint64_t)luaL_ref(L, -2), BRAID_ITEM_REFERENCE};
  lua_pop(L, 1);
  return item;
}

static uint64_t bits_of(lua_Number number) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  return bits;
}

static lua_Number number_of(uint64_t bits) {
  lua_Number number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static struct braid_item enclose(lua_State *L, int index, int box) {
  if (!lobject_at(L, box)->guard.shared) return refer(L, index, box);
  struct braid_message *message = lcodec_encode(L, index, 1, "item");
  return (struct braid_item){(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE};
}

struct braid_item litem_make(lua_State *L, int index, int box) {
  switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: return (struct braid_item){0, lua_toboolean(L, index) ? BRAID_ITEM_TRUE : BRAID_ITEM_FALSE};
    case LUA_TNUMBER:
      if (lua_isinteger(L, index)) return (struct braid_item){(uint64_t)lua_tointeger(L, index), BRAID_ITEM_INTEGER};
      return (struct braid_item){bits_of(lua_tonumber(L, index)), BRAID_ITEM_NUMBER};
    case LUA_TLIGHTUSERDATA:
      if (!lua_touserdata(L, index)) return (struct braid_item){0, BRAID_ITEM_NULL};
      return enclose(L, index, box);
    default: return enclose(L, index, box);
  }
}

void litem_peek(lua_State *L, struct braid_item item, int box) {
  if (lua_getiuservalue(L, box, 1) != LUA_TTABLE) return;
  lua_rawgeti(L, -1, (lua_Integer)item.bits);
  lua_remove(L, -2);
}

void litem_push(lua_State *L, struct braid_item item, int box) {
  switch (item.tag) {
    case BRAID_ITEM_FALSE: lua_pushboolean(L, 0); break;
    case BRAID_ITEM_TRUE: lua_pushboolean(L, 1); break;
    case BRAID_ITEM_NULL: lua_pushlightuserdata(L, NULL); break;
    case BRAID_ITEM_INTEGER: lua_pushinteger(L, (lua_Integer)item.bits); break;
    case BRAID_ITEM_NUMBER: lua_pushnumber(L, number_of(item.bits)); break;
    case BRAID_ITEM_REFERENCE:
      litem_peek(L, item, box);
      litem_drop(L, item, box);
      break;
    case BRAID_ITEM_MESSAGE: lcodec_take(L, (struct braid_message *)(uintptr_t)item.bits); break;
    default: lua_pushnil(L);
  }
}

void litem_drop(lua_State *L, struct braid_item item, int box) {
  braid_item_drop(item);
  if (item.tag != BRAID_ITEM_REFERENCE) return;
  lua_getiuservalue(L, box, 1);
  luaL_unref(L, -1, (int)item.bits);
  lua_pop(L, 1);
}

double litem_key(lua_State *L, int index) {
  double key = (double)NAN;
  if (lua_type(L, index) == LUA_TNUMBER) {
    key = lua_tonumber(L, index);
  } else if (lua_istable(L, index)) {
    if (lua_geti(L, index, 1) == LUA_TNUMBER) key = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  if (!isnan(key)) return key;
  lerror_misuse(L,
                "a priority queue takes numbers, or lists whose first element is a number: the smallest leaves first");
  return 0;
}
