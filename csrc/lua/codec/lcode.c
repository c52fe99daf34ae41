/* SPDX-License-Identifier: MIT
 * There are two weak tables. CODES maps a function to the box of its code, while the function lives. LOADED maps a code
 * to its box, whose user value is the one function that was loaded from it, while that function is in use. */
#include "lua/codec/lcode.h"

#include <lauxlib.h>

#include "core/base/buffer.h"
#include "lua/base/lerror.h"
#include "lua/sched/lobject.h"
#include "lua/base/lregistry.h"

static const char CODES, LOADED; /* registry keys */

static void push_codes(lua_State *L) { lregistry_table(L, &CODES, "k"); }

static struct braid_bytecode *of(struct braid_object *object) {
  return braid_container(object, struct braid_bytecode, object);
}

struct braid_bytecode *lcode_known(lua_State *L, int index) {
  struct braid_object *object = NULL;
  index = lua_absindex(L, index);
  push_codes(L);
  lua_pushvalue(L, index);
  if (lua_rawget(L, -2) == LUA_TUSERDATA) object = lobject_at(L, -1);
  lua_pop(L, 2);
  return object ? of(object) : NULL;
}

/* Records that the box on the top of the stack has the code of the function at `index`; pops the box. */
static void remember(lua_State *L, int index) {
  push_codes(L);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static int write_code(lua_State *L, const void *data, size_t size, void *buffer) {
  (void)L;
  return !braid_buffer_append(buffer, data, size);
}

static struct braid_bytecode *dump(lua_State *L, int index) {
  lua_Debug ar;
  struct braid_buffer buffer;
  struct braid_bytecode *code = NULL;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">u", &ar);
  braid_buffer_init(&buffer);
  lua_pushvalue(L, index);
  if (lua_dump(L, write_code, &buffer, 0) == 0) code = braid_bytecode_new(buffer.data, buffer.size, ar.nups);
  lua_pop(L, 1);
  braid_buffer_term(&buffer);
  return code;
}

struct braid_bytecode *lcode_of(lua_State *L, int index) {
  struct braid_bytecode *code = lcode_known(L, index);
  if (code) return code;
  luaL_checkstack(L, 8, NULL);
  index = lua_absindex(L, index);
  lobject_box(L, &braid_bytecode_class);
  code = dump(L, index);
  lobject_fill(L, code ? &code->object : NULL);
  remember(L, index);
  return code;
}

void lcode_load(lua_State *L, const struct braid_bytecode *code) {
  if (luaL_loadbufferx(L, code->bytes, code->size, "=?", "b") != LUA_OK) lua_error(L);
}

/* Loads the code. Pushes its box, whose user value is the loaded function. */
static void push_loaded(lua_State *L, struct braid_bytecode *code) {
  luaL_checkstack(L, 8, NULL);
  lobject_box(L, &braid_bytecode_class);
  braid_object_ref(&code->object);
  lobject_fill(L, &code->object);
  lcode_load(L, code);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, 1);
  lua_pushvalue(L, -2);
  remember(L, lua_gettop(L) - 1);
  lua_pop(L, 1);
}

void lcode_push(lua_State *L, struct braid_bytecode *code) {
  lregistry_table(L, &LOADED, "v");
  if (lua_rawgetp(L, -1, code) != LUA_TUSERDATA || lobject_at(L, -1) != &code->object) {
    lua_pop(L, 1);
    push_loaded(L, code);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, code);
  }
  lua_getiuservalue(L, -1, 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
  if (code->upvalues == 0) return;
  lua_pushglobaltable(L); /* every time, because the function may have assigned to _ENV */
  lua_setupvalue(L, -2, 1);
}

void lcode_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  lobject_class(L, &braid_bytecode_class, none);
  lua_pop(L, 1);
}
