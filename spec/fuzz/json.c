/* SPDX-License-Identifier: MIT
 * For libFuzzer: any bytes are decoded as JSON. What comes out is encoded, and that decodes to a value with the same
 * text; invalid UTF-8 is replaced in every second run. */
#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/codec/ljson.h"

int luaopen_braid_core(lua_State *L);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lua_State *state;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  state = luaL_newstate();
  luaL_requiref(state, "braid.core", luaopen_braid_core, 0);
  lua_settop(state, 0);
  return 0;
}

/* Pushes the value of the text at `index`, or its error: false. */
static bool decode(int index, bool replace) {
  index = lua_absindex(state, index);
  lua_pushcfunction(state, ljson_decode);
  lua_pushvalue(state, index);
  lua_pushinteger(state, LJSON_MOST_DEPTH);
  lua_pushboolean(state, 0);
  lua_pushboolean(state, replace);
  return lua_pcall(state, 4, 1, 0) == LUA_OK;
}

/* Pushes the text of the value at `index`. */
static void encode(int index, bool pretty) {
  index = lua_absindex(state, index);
  lua_pushcfunction(state, ljson_encode);
  lua_pushvalue(state, index);
  lua_pushinteger(state, LJSON_MOST_DEPTH);
  lua_pushboolean(state, pretty);
  lua_pushboolean(state, 1);
  if (lua_pcall(state, 4, 1, 0) != LUA_OK) {
    lua_getfield(state, -1, "message");
    fprintf(stderr, "what was decoded cannot be encoded: %s\n", lua_tostring(state, -1));
    abort();
  }
}

/* An error has a place in the text. */
static void check_error(size_t size) {
  if (!lua_istable(state, -1)) abort();
  lua_getfield(state, -1, "offset");
  lua_Integer offset = lua_tointeger(state, -1);
  if (offset < 1 || offset > (lua_Integer)size + 1) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static unsigned rounds;
  bool odd = rounds++ % 2;
  lua_pushlstring(state, (const char *)data, size);
  if (decode(1, odd)) {
    encode(-1, odd); /* 3 */
    if (!decode(3, false)) abort();
    encode(-1, odd); /* 5 */
    if (!lua_rawequal(state, 3, 5)) abort();
  } else {
    check_error(size);
  }
  lua_settop(state, 0);
  if (rounds % 256 == 0) lua_gc(state, LUA_GCCOLLECT);
  return 0;
}
