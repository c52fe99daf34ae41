/* SPDX-License-Identifier: MIT
 * Messages as strings, for other machines: the bytes of a message, and the list of what it refers to. Of shared objects
 * only bytecode and arrays can go there, because their content can. */
#include <lauxlib.h>

#include "core/base/bytecode.h"
#include "core/memory/array.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/codec/lcarry.h"
#include "lua/codec/lcodec.h"
#include "lua/sched/lobject.h"
#include "lua/sched/lsched.h"

static const char *border(const struct braid_object *object) {
  bool content = object->class == &braid_bytecode_class || object->class == &braid_array_class;
  return content ? NULL : "it is shared only on this machine (braid.cluster has such objects for all)";
}

/* Arguments: the message as a light userdata. */
static int push_parts(lua_State *L) {
  const struct braid_message *message = lua_touserdata(L, 1);
  lua_pushlstring(L, message->bytes, message->size);
  if (message->object_count == 0) return 1;
  lua_createtable(L, (int)message->object_count, 0);
  for (uint32_t i = 0; i < message->object_count; i++) {
    lobject_push(L, message->objects[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 2;
}

/* freeze(what, ...) -> bytes, the list of boxes of what they refer to (nil: nothing). `what` names the values in
 * errors. "argument": it is a job, and the context of its span goes along. */
static int freeze(lua_State *L) {
  const char *what = larg_string(L, 1, "what", NULL);
  if (*what == 'a') carry_wrap(L, sched_of(L), 2, CARRY_FAR_JOB);
  struct braid_message *message = lcodec_encode_across(L, 2, lua_gettop(L) - 1, what, border);
  lua_pushcfunction(L, push_parts);
  lua_pushlightuserdata(L, message);
  int failed = lua_pcall(L, 1, 2, 0);
  braid_message_unref(message);
  return failed ? lua_error(L) : 2;
}

/* The message of the bytes at `index` and the boxes in the list at `index` + 1. */
struct braid_message *lcodec_thawed(lua_State *L, int index) {
  size_t size;
  const char *bytes = larg_string(L, index, "bytes", &size);
  uint32_t count = lua_istable(L, index + 1) ? (uint32_t)lua_rawlen(L, index + 1) : 0;
  luaL_checkstack(L, 4, NULL);
  struct braid_object **objects = lua_newuserdatauv(L, sizeof *objects * ((size_t)count + 1), 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_rawgeti(L, index + 1, (lua_Integer)i + 1);
    if (!lobject_is_box(L, -1, &objects[i]) || !objects[i]) larg_error(L, index + 1, "objects", "a list of boxes");
    if (!lobject_share(L, -1)) lua_error(L);
    lua_pop(L, 1);
  }
  struct braid_message *message = braid_message_new(bytes, size, objects, count);
  lua_pop(L, 1);
  if (!message) lerror_memory(L);
  return message;
}

/* thaw(bytes, list or nil) -> the values. The bytes must not come from strangers: see lcodec_decode. */
static int thaw(lua_State *L) {
  lua_settop(L, 2);
  return lcodec_take(L, lcodec_thawed(L, 1));
}

/* code_parts(box) -> bytes, number of upvalues; nothing for a box of anything else */
static int code_parts(lua_State *L) {
  struct braid_object *object = lobject_test(L, 1, &braid_bytecode_class);
  if (!object) return 0;
  const struct braid_bytecode *code = braid_container(object, struct braid_bytecode, object);
  lua_pushlstring(L, code->bytes, code->size);
  lua_pushinteger(L, code->upvalues);
  return 2;
}

/* code_make(bytes, upvalues) -> box */
static int code_make(lua_State *L) {
  size_t size;
  const char *bytes = larg_string(L, 1, "bytes", &size);
  lua_Integer upvalues = larg_integer(L, 2, "upvalues", 0);
  lobject_box(L, &braid_bytecode_class);
  struct braid_bytecode *code = braid_bytecode_new(bytes, size, (int)upvalues);
  lobject_fill(L, code ? &code->object : NULL);
  return 1;
}

static const luaL_Reg functions[] = {
    {"freeze", freeze}, {"thaw", thaw}, {"code_parts", code_parts}, {"code_make", code_make}, {NULL, NULL}};

void lfreight_open(lua_State *L) { sched_register(L, functions); }
