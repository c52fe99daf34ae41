/* SPDX-License-Identifier: MIT
 * At run time each release of Lua 5.4 reports the same version number, and lua.h only tells the release that this
 * module was built with. So the check tries what braid needs of 5.4.3: a yield inside a __close metamethod. */
#include "lua/base/lrelease.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#if LUA_VERSION_NUM != 504
#error "braid is built with the headers of Lua 5.4: set LUA_CFLAGS to -I and their folder"
#endif
_Static_assert(sizeof(lua_Integer) == 8 && sizeof(lua_Number) == 8,
               "braid needs a Lua whose integers and floats have 64 bits");

#pragma weak lua_ident /* a program that contains Lua may have left it out */

static int yield(lua_State *L) { return lua_yield(L, 0); }

static int close_argument(lua_State *L) {
  lua_toclose(L, 1);
  return 0;
}

static bool close_may_wait(lua_State *L) {
  lua_State *co = lua_newthread(L);
  int results;
  lua_pushcfunction(co, close_argument);
  lua_newtable(co);
  lua_createtable(co, 0, 1);
  lua_pushcfunction(co, yield);
  lua_setfield(co, -2, "__close");
  lua_setmetatable(co, -2);
  bool may = lua_resume(co, L, 1, &results) == LUA_YIELD;
  lua_pop(L, 1);
  return may;
}

void lrelease_push(lua_State *L) {
  const char *name = lua_ident ? strstr(lua_ident, "Lua 5.") : NULL;
  if (name)
    lua_pushlstring(L, name + 4, strcspn(name + 4, " "));
  else
    lua_pushliteral(L, "an older 5.4");
}

void lrelease_check(lua_State *L) {
  luaL_checkversion(L);
  if (close_may_wait(L)) return;
  lrelease_push(L);
  lua_pushfstring(L, "braid needs Lua 5.4.3 or a later 5.4, and this is Lua %s: <close> variables cannot wait in it",
                  lua_tostring(L, -1));
  lua_error(L);
}
