/* SPDX-License-Identifier: MIT
 * The codec's functions for Lua. A parcel is a userdata that holds a message. */
#include "lua/codec/lcodec.h"

#include <lauxlib.h>
#include <string.h>

#include "core/base/bytecode.h"
#include "lua/base/larg.h"
#include "lua/codec/lcode.h"
#include "lua/codec/ltext.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

struct parcel {
  struct braid_message *message; /* NULL: not made yet, or dropped */
};

static int parcel_gc(lua_State *L) {
  struct parcel *parcel = lua_touserdata(L, 1);
  if (parcel->message) braid_message_unref(parcel->message);
  parcel->message = NULL;
  return 0;
}

static struct parcel *check(lua_State *L) {
  struct parcel *parcel = larg_object(L, 1, "braid.parcel");
  if (!parcel->message) larg_error(L, 1, "parcel", "one that is not empty");
  return parcel;
}

/* #parcel -> number of bytes */
static int parcel_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->message->size);
  return 1;
}

/* encode(...) -> parcel */
static int encode(lua_State *L) {
  int count = lua_gettop(L);
  struct parcel *parcel = lua_newuserdatauv(L, sizeof *parcel, 0);
  parcel->message = NULL;
  luaL_setmetatable(L, "braid.parcel");
  parcel->message = lcodec_encode(L, 1, count, "argument");
  return 1;
}

/* decode(parcel) -> values; may be called several times */
static int decode(lua_State *L) { return lcodec_decode(L, check(L)->message); }

/* ---- parcels as bytes ----------------------------------------------------------------------------------------- */

struct code_head { /* written before a function's bytecode */
  int64_t upvalues;
  uint64_t size;
};

static void add_code(lua_State *L, luaL_Buffer *buffer, const struct braid_object *object) {
  if (object->class != &braid_bytecode_class)
    lerror_raise(L, "not_sendable", "a shared object (%s) is part of it, which other processes cannot see",
                 object->class->name);
  const struct braid_bytecode *code = braid_container(object, struct braid_bytecode, object);
  struct code_head head = {code->upvalues, code->size};
  luaL_addlstring(buffer, (const char *)&head, sizeof head);
  luaL_addlstring(buffer, code->bytes, code->size);
}

/* parcel:bytes() -> string. Only the same build of braid on the same kind of machine can read it. Raises kind
 * "not_sendable" if the parcel refers to shared objects. */
static int parcel_bytes(lua_State *L) {
  const struct braid_message *message = check(L)->message;
  uint64_t count = message->object_count;
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  luaL_addlstring(&buffer, (const char *)&count, sizeof count);
  for (uint64_t i = 0; i < count; i++) add_code(L, &buffer, message->objects[i]);
  luaL_addlstring(&buffer, message->bytes, message->size);
  luaL_pushresult(&buffer);
  return 1;
}

/* Reads the bytecode at *at and advances *at. NULL when it is cut off or memory is out. */
static struct braid_object *take_code(const char **at, const char *end) {
  struct code_head head;
  if ((size_t)(end - *at) < sizeof head) return NULL;
  memcpy(&head, *at, sizeof head);
  *at += sizeof head;
  if ((uint64_t)(end - *at) < head.size) return NULL;
  struct braid_bytecode *code = braid_bytecode_new(*at, head.size, (int)head.upvalues);
  *at += head.size;
  if (!code) return NULL;
  braid_object_share(&code->object);
  return &code->object;
}

/* parcel(bytes) -> the parcel that parcel:bytes() wrote. The bytes must come from a trusted source. */
static int parcel_of(lua_State *L) {
  size_t size;
  const char *at = luaL_checklstring(L, 1, &size), *end = at + size;
  struct parcel *parcel = lua_newuserdatauv(L, sizeof *parcel, 0);
  parcel->message = NULL;
  luaL_setmetatable(L, "braid.parcel");
  uint64_t count = 0, made = 0;
  if (size >= sizeof count) memcpy(&count, at, sizeof count);
  at += size >= sizeof count ? sizeof count : size;
  if (count > size) count = 0;
  struct braid_object **objects = lua_newuserdatauv(L, (count + 1) * sizeof *objects, 0);
  while (made < count && (objects[made] = take_code(&at, end))) made++;
  if (made == count) parcel->message = braid_message_new(at, (size_t)(end - at), objects, (uint32_t)count);
  while (made > 0) braid_object_unref(objects[--made]);
  if (!parcel->message) return luaL_error(L, "these bytes are no parcel, or memory is out");
  lua_pop(L, 1);
  return 1;
}

/* set_transfer_limits(bytes, values): limits for each message, in all states. */
static int set_transfer_limits(lua_State *L) {
  lua_Integer bytes = larg_integer(L, 1, "bytes", 1), values = larg_integer(L, 2, "values", 1);
  lcodec_limit((size_t)bytes, (size_t)values);
  return 0;
}

static const luaL_Reg methods[] = {{"bytes", parcel_bytes}, {"__gc", parcel_gc}, {"__len", parcel_len}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"encode", encode},
                                     {"decode", decode},
                                     {"parcel", parcel_of},
                                     {"set_transfer_limits", set_transfer_limits},
                                     {NULL, NULL}};

void lcodec_open(lua_State *L) {
  sched_register(L, functions);
  lcode_open(L);
  ltext_open(L);
  sched_class(L, "braid.parcel", methods);
  lua_pop(L, 1);
}
