/* SPDX-License-Identifier: MIT
 * For libFuzzer: any bytes are decoded; what comes out is encoded and decoded again. The state has no library by which
 * bytes could do harm that is not the decoder's: names reach `string`, `table` and `math` only. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "core/base/buffer.h"
#include "core/base/bytecode.h"
#include "core/sync/counter.h"
#include "core/sync/primitives.h"
#include "core/sync/queue.h"
#include "lua/codec/lcodec.h"

enum { OBJECTS = 5, MOST_MEMORY = 1 << 28 };

int luaopen_braid_core(lua_State *L);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lua_State *state;
static struct braid_object *objects[OBJECTS];
static size_t used;

static void *allocate(void *user, void *block, size_t before, size_t after) {
  (void)user;
  if (!block) before = 0;
  if (after > before && used - before + after > MOST_MEMORY) return NULL;
  used += after - before;
  if (after > 0) return realloc(block, after);
  free(block);
  return NULL;
}

static int write_code(lua_State *L, const void *data, size_t size, void *buffer) {
  (void)L;
  return !braid_buffer_append(buffer, data, size);
}

static struct braid_object *code_of(const char *text, int upvalues) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  if (luaL_dostring(state, text) || lua_dump(state, write_code, &buffer, 0)) abort();
  lua_settop(state, 0);
  struct braid_bytecode *code = braid_bytecode_new(buffer.data, buffer.size, upvalues);
  braid_buffer_term(&buffer);
  return &code->object;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  static const luaL_Reg libraries[] = {{"string", luaopen_string}, {"table", luaopen_table}, {"math", luaopen_math}};
  state = lua_newstate(allocate, NULL);
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
    luaL_requiref(state, libraries[i].name, libraries[i].func, 0);
  luaL_requiref(state, "braid.core", luaopen_braid_core, 0);
  luaL_getsubtable(state, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(state);
  lua_setfield(state, -2, "braid.core"); /* its functions wait */
  lua_settop(state, 0);
  objects[0] = code_of("return function(...) return ... end", 0);
  objects[1] = code_of("local a, b = 1, 2 return function(...) a = b return ..., a end", 2);
  objects[2] = &braid_counter_new(1)->object;
  objects[3] = &braid_queue_new(0, BRAID_FIFO)->object;
  objects[4] = &braid_primitive_new(&braid_lock_class, 0, 0)->object;
  for (int i = 2; i < OBJECTS; i++) braid_object_share(objects[i]);
  return 0;
}

static int decode(lua_State *L) {
  lcodec_decode(L, lua_touserdata(L, 1));
  return lua_gettop(L) - 1;
}

static int decode_again(lua_State *L) {
  struct braid_message *message = lcodec_encode(L, 1, lua_gettop(L), "argument");
  return lcodec_take(L, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct braid_message *message = braid_message_new(data, size, objects, OBJECTS);
  lua_pushcfunction(state, decode_again);
  lua_pushcfunction(state, decode);
  lua_pushlightuserdata(state, message);
  if (lua_pcall(state, 1, LUA_MULTRET, 0) == LUA_OK) lua_pcall(state, lua_gettop(state) - 1, LUA_MULTRET, 0);
  lua_settop(state, 0);
  braid_message_unref(message);
  static unsigned rounds;
  if (++rounds % 256 == 0) lua_gc(state, LUA_GCCOLLECT);
  return 0;
}
