/* SPDX-License-Identifier: MIT
 * The values of references are in a table, the box's user value 1. An item that is a message owns the message. */
#include "lua/codec/litem.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/codec/lcarry.h"
#include "lua/codec/lcodec.h"
#include "lua/codec/ltext.h"
#include "lua/base/lerror.h"
#include "lua/sched/lobject.h"

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

static struct braid_item encode(lua_State *L, int index) {
  struct braid_message *message = lua_type(L, index) == LUA_TSTRING ? ltext_encode(L, index) : NULL;
  if (!message) message = lcodec_encode(L, index, 1, "item");
  return (struct braid_item){(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE};
}

bool litem_make_small(lua_State *L, int index, struct braid_item *item) {
  *item = (struct braid_item){0};
  switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: item->tag = lua_toboolean(L, index) ? BRAID_ITEM_TRUE : BRAID_ITEM_FALSE; return true;
    case LUA_TNUMBER:
      if (lua_isinteger(L, index))
        *item = (struct braid_item){(uint64_t)lua_tointeger(L, index), BRAID_ITEM_INTEGER};
      else
        *item = (struct braid_item){bits_of(lua_tonumber(L, index)), BRAID_ITEM_NUMBER};
      return true;
    case LUA_TLIGHTUSERDATA: item->tag = BRAID_ITEM_NULL; return lua_touserdata(L, index) == NULL;
    default: return false;
  }
}

struct braid_item litem_make(lua_State *L, int index, int box) {
  struct braid_item item;
  carry_wrap(L, sched_of(L), index, box);
  if (litem_make_small(L, index, &item)) return item;
  return lobject_at(L, box)->guard.shared ? encode(L, index) : refer(L, index, box);
}

struct braid_item litem_copy(lua_State *L, int index) {
  struct braid_item item = {0};
  if (lua_isnoneornil(L, index) || litem_make_small(L, index, &item)) return item;
  return encode(L, index);
}

void litem_peek(lua_State *L, struct braid_item item, int box) {
  if (lua_getiuservalue(L, box, 1) != LUA_TTABLE) return;
  lua_rawgeti(L, -1, (lua_Integer)item.bits);
  lua_remove(L, -2);
}

static void push_message(lua_State *L, struct braid_message *message) {
  if (!ltext_take(L, message)) lcodec_take(L, message);
}

void litem_push_small(lua_State *L, struct braid_item item) {
  switch (item.tag) {
    case BRAID_ITEM_FALSE: lua_pushboolean(L, 0); break;
    case BRAID_ITEM_TRUE: lua_pushboolean(L, 1); break;
    case BRAID_ITEM_NULL: lua_pushlightuserdata(L, NULL); break;
    case BRAID_ITEM_INTEGER: lua_pushinteger(L, (lua_Integer)item.bits); break;
    case BRAID_ITEM_NUMBER: lua_pushnumber(L, number_of(item.bits)); break;
    default: lua_pushnil(L);
  }
}

void litem_push(lua_State *L, struct braid_item item, int box) {
  switch (item.tag) {
    case BRAID_ITEM_REFERENCE:
      litem_peek(L, item, box);
      litem_drop(L, item, box);
      break;
    case BRAID_ITEM_MESSAGE: push_message(L, (struct braid_message *)(uintptr_t)item.bits); break;
    default: litem_push_small(L, item);
  }
}

int litem_push_got(lua_State *L, struct braid_item item, int box) {
  if (item.tag == BRAID_ITEM_NONE)
    return lerror_system(L, (int)item.bits, "queue:get: an item was lost between two processes");
  carry_begin(L, sched_of(L));
  litem_push(L, item, box);
  carry_unwrap(L, sched_of(L));
  return 1;
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

/* ---- keys of dicts --------------------------------------------------------------------------------------------- */

struct braid_key litem_dict_key(lua_State *L, int index) {
  struct braid_key key = {.tag = BRAID_ITEM_NONE};
  int type = lua_type(L, index), whole;
  if (type == LUA_TSTRING) {
    size_t size;
    key.bytes = lua_tolstring(L, index, &size);
    key.bits = size;
  } else if (type == LUA_TBOOLEAN) {
    key.tag = lua_toboolean(L, index) ? BRAID_ITEM_TRUE : BRAID_ITEM_FALSE;
  } else if (type == LUA_TNUMBER && lua_tonumber(L, index) == lua_tonumber(L, index)) {
    key.bits = (uint64_t)lua_tointegerx(L, index, &whole);
    key.tag = whole ? BRAID_ITEM_INTEGER : BRAID_ITEM_NUMBER;
    if (!whole) key.bits = bits_of(lua_tonumber(L, index));
  } else {
    larg_error(L, index, "key", "a string, number or boolean");
  }
  return key;
}

static int push_keys(lua_State *L) {
  const struct braid_buffer *keys = lua_touserdata(L, 1);
  const char *at = keys->data, *end = at + keys->size;
  struct braid_key key;
  lua_newtable(L);
  for (lua_Integer i = 1; at && at < end && (at = braid_key_read(&key, at, end)); i++) {
    if (key.tag == BRAID_ITEM_NONE)
      lua_pushlstring(L, key.bytes, key.bits);
    else
      litem_push(L, (struct braid_item){key.bits, key.tag}, 0);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

int litem_push_keys(lua_State *L, struct braid_buffer *keys, bool whole) {
  lua_pushcfunction(L, push_keys);
  lua_pushlightuserdata(L, keys);
  int status = whole ? lua_pcall(L, 1, 1, 0) : LUA_OK;
  braid_buffer_term(keys);
  if (!whole) lerror_memory(L);
  return status == LUA_OK ? 1 : lua_error(L);
}
