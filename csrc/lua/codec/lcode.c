/* SPDX-License-Identifier: MIT
 * There are three weak tables. CODES maps a function to the box of its code, while the function lives. SAME maps the
 * bytes of a code to its box, so that all functions made by one place in the source have the same code. LOADED maps a
 * code to its box, whose user value is the one function that was loaded from it, while that function is in use. */
#include "lua/codec/lcode.h"

#include <lauxlib.h>

#include "lua/base/lerror.h"
#include "lua/sched/lobject.h"
#include "lua/base/lregistry.h"

static const char CODES, SAME, LOADED; /* registry keys */

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

struct dumping {
  luaL_Buffer bytes;
  bool begun;
};

static int write_code(lua_State *L, const void *data, size_t size, void *context) {
  struct dumping *dumping = context;
  if (!dumping->begun) luaL_buffinit(L, &dumping->bytes); /* not before lua_dump, which needs the top of the stack */
  dumping->begun = true;
  luaL_addlstring(&dumping->bytes, data, size);
  return 0;
}

/* Pushes the bytes of the function at `index`. */
static const char *push_bytes(lua_State *L, int index, size_t *size) {
  struct dumping dumping = {.begun = false};
  lua_pushvalue(L, index);
  lua_dump(L, write_code, &dumping, 0);
  luaL_pushresult(&dumping.bytes);
  lua_remove(L, -2);
  return lua_tolstring(L, -1, size);
}

/* Pushes a new box with the code of the function at `index`, whose bytes are these. */
static void push_new(lua_State *L, int index, const char *bytes, size_t size) {
  lua_Debug ar;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">u", &ar);
  lobject_box(L, &braid_bytecode_class);
  struct braid_bytecode *code = braid_bytecode_new(bytes, size, ar.nups);
  lobject_fill(L, code ? &code->object : NULL);
}

/* Pushes the box of the function's code. */
static void push_box(lua_State *L, int index) {
  size_t size;
  lregistry_table(L, &SAME, "v");
  const char *bytes = push_bytes(L, index, &size);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) != LUA_TUSERDATA || !lobject_at(L, -1)) {
    lua_pop(L, 1);
    push_new(L, index, bytes, size);
    lua_insert(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    lua_remove(L, -2);
    return;
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
}

struct braid_bytecode *lcode_of(lua_State *L, int index) {
  struct braid_bytecode *code = lcode_known(L, index);
  if (code) return code;
  luaL_checkstack(L, 12, NULL);
  index = lua_absindex(L, index);
  push_box(L, index);
  code = of(lobject_at(L, -1));
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
