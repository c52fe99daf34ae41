/* SPDX-License-Identifier: MIT
 * The methods and operators of shared objects that are written in Lua. An object may arrive in a state before the
 * module that has them is loaded: its first use of one loads the module. */
#include <lauxlib.h>

#include "lua/base/lopen.h"

static const struct {
  const char *class, *module;
} written[] = {
    {"braid.queue", "braid.sync.queue"},
    {"braid.lock", "braid.sync.primitives"},
    {"braid.semaphore", "braid.sync.primitives"},
    {"braid.condition", "braid.sync.primitives"},
    {"braid.dict", "braid.sync.dict"},
    {"braid.array", "braid.kernels.matrices"},
};

static const char *const operators[] = {"__add", "__sub", "__mul", "__div", "__mod", "__idiv", "__pow", "__unm", NULL};

static void require(lua_State *L, int module) {
  lua_getglobal(L, "require");
  lua_pushvalue(L, module);
  lua_call(L, 1, 0);
}

/* The class has no such field. Upvalue: its module. */
static int load_methods(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, lua_upvalueindex(1));
  if (lua_rawget(L, -2) == LUA_TNIL) require(L, lua_upvalueindex(1)); /* it can be interrupted */
  lua_settop(L, 2);
  if (luaL_getmetafield(L, 1, "__index") != LUA_TNIL && lua_tocfunction(L, -1) == load_methods) {
    lua_pushnil(L);
    lua_setmetatable(L, 1); /* the module has not replaced it */
  }
  lua_settop(L, 2);
  lua_rawget(L, 1);
  return 1;
}

static int return_k(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 1;
}

/* Stands for an operator. Upvalues: the class, the event, the module, which replaces the operator. It may wait. */
static int operate(lua_State *L) {
  lua_settop(L, 2);
  require(L, lua_upvalueindex(3));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_rawget(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, 2, 1, 0, return_k);
  return return_k(L, LUA_OK, 0);
}

/* The class is on the top of the stack. */
static void add_operators(lua_State *L, const char *module) {
  for (const char *const *event = operators; *event; event++) {
    lua_pushvalue(L, -1);
    lua_pushstring(L, *event);
    lua_pushstring(L, module);
    lua_pushcclosure(L, operate, 3);
    lua_setfield(L, -2, *event);
  }
}

void lmethods_open(lua_State *L) {
  for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
    luaL_getmetatable(L, written[i].class);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, written[i].module);
    lua_pushcclosure(L, load_methods, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
  luaL_getmetatable(L, "braid.array");
  add_operators(L, "braid.kernels.matrices");
  lua_pop(L, 1);
}
