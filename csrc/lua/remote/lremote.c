/* SPDX-License-Identifier: MIT
 * Counters and dicts that live in another process, for Lua. Proxies inherit the methods that are written in Lua
 * (lua/braid/sync) from the metatables of the objects themselves. */
#include "lua/remote/lcall.h"

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/codec/litem.h"
#include "lua/base/lopen.h"

/* ---- counter -------------------------------------------------------------------------------------------------- */

static int counter_add(lua_State *L) {
  struct braid_proxy *counter = lcall_check(L, BRAID_PROXY_COUNTER);
  return lcall_ask(L, counter, BRAID_COUNTER_ADD, lua_isnoneornil(L, 2) ? 1 : larg_integer(L, 2, "n", LUA_MININTEGER));
}

static int counter_get(lua_State *L) { return lcall_ask(L, lcall_check(L, BRAID_PROXY_COUNTER), BRAID_COUNTER_GET, 0); }

static int counter_set(lua_State *L) {
  struct braid_proxy *counter = lcall_check(L, BRAID_PROXY_COUNTER);
  lcall_tell(L, counter, BRAID_COUNTER_SET, larg_integer(L, 2, "value", LUA_MININTEGER));
  return 0;
}

static const luaL_Reg counter_methods[] = {
    {"add", counter_add}, {"get", counter_get}, {"set", counter_set}, {NULL, NULL}};

static int finish_counter(lua_State *L, struct sched *sched, enum braid_call_operation operation,
                          enum braid_status status, struct braid_item item, int64_t extra) {
  (void)extra;
  (void)sched, (void)operation, (void)status;
  return lcall_push_integer(L, item);
}

/* ---- dict ----------------------------------------------------------------------------------------------------- */

static int perform_keyed(lua_State *L, enum braid_call_operation operation, struct braid_item item) {
  struct braid_proxy *dict = lcall_check(L, BRAID_PROXY_DICT);
  struct braid_key key = litem_dict_key(L, 2);
  struct braid_buffer bytes;
  size_t size = 1 + sizeof key.bits + (key.tag == BRAID_ITEM_NONE ? (size_t)key.bits : 0);
  braid_buffer_init(&bytes);
  bytes.data = lua_newuserdatauv(L, size, 0); /* Lua's memory, so nothing leaks if something raises */
  bytes.capacity = size;
  braid_key_write(&bytes, &key);
  struct lcall_words words = {.call = {.owner = lcall_me(sched_of(L)), .key_size = (uint32_t)size},
                              .key = bytes.data,
                              .cell.item = item,
                              .deadline = BRAID_NEVER,
                              .masked = true,
                              .asks = true};
  return lcall_perform(L, dict, operation, &words);
}

static int dict_get(lua_State *L) { return perform_keyed(L, BRAID_DICT_GET, (struct braid_item){0}); }

/* dict:_set(key, value) -> false if another task holds the lock */
static int dict_set(lua_State *L) {
  lcall_check(L, BRAID_PROXY_DICT);
  litem_dict_key(L, 2);
  return perform_keyed(L, BRAID_DICT_SET, lcall_item(L, 3));
}

static int dict_size(lua_State *L) { return lcall_ask(L, lcall_check(L, BRAID_PROXY_DICT), BRAID_DICT_SIZE, 0); }

static int dict_keys(lua_State *L) { return lcall_ask(L, lcall_check(L, BRAID_PROXY_DICT), BRAID_DICT_KEYS, 0); }

static int dict_lock(lua_State *L) { return lcall_push_lock(L, lcall_check(L, BRAID_PROXY_DICT)); }

static int dict_mine(lua_State *L) {
  lua_pushboolean(L, braid_proxy_holds(lcall_check(L, BRAID_PROXY_DICT)->lock, lcall_me(sched_of(L))));
  return 1;
}

static int keys_answer(lua_State *L, struct braid_item item) {
  const struct braid_message *message =
      item.tag == BRAID_ITEM_MESSAGE ? (const struct braid_message *)(uintptr_t)item.bits : NULL;
  struct braid_buffer keys;
  braid_buffer_init(&keys);
  bool whole = message && braid_buffer_append(&keys, message->bytes, message->size);
  braid_item_drop(item);
  return litem_push_keys(L, &keys, whole);
}

static const luaL_Reg dict_methods[] = {
    {"get", dict_get},    {"_set", dict_set},   {"size", dict_size}, {"keys", dict_keys},
    {"_lock", dict_lock}, {"_mine", dict_mine}, {NULL, NULL},
};

static int finish_dict(lua_State *L, struct sched *sched, enum braid_call_operation operation, enum braid_status status,
                       struct braid_item item, int64_t extra) {
  (void)extra;
  (void)sched;
  switch (operation) {
    case BRAID_DICT_GET: litem_push(L, item, 0); return 1;
    case BRAID_DICT_SET: return lcall_push_boolean(L, status == BRAID_OK);
    case BRAID_DICT_KEYS: return keys_answer(L, item);
    default: return lcall_push_integer(L, item); /* SIZE */
  }
}

/* --------------------------------------------------------------------------------------------------------------- */

void lremote_open(lua_State *L) {
  lcall_class(L, BRAID_PROXY_COUNTER, "braid.counter", counter_methods, finish_counter);
  lcall_class(L, BRAID_PROXY_DICT, "braid.dict", dict_methods, finish_dict);
}
