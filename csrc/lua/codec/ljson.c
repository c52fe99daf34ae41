/* SPDX-License-Identifier: MIT */
#include "lua/codec/ljson.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

int ljson_depth(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return LJSON_DEPTH;
  lua_Integer depth = larg_integer(L, index, "max_depth", 1);
  if (depth > LJSON_MOST_DEPTH) larg_error(L, index, "max_depth", "an integer up to 10000");
  return (int)depth;
}

static const luaL_Reg functions[] = {{"json_encode", ljson_encode}, {"json_decode", ljson_decode}, {NULL, NULL}};

void ljson_open(lua_State *L) { sched_register(L, functions); }
