/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/sched/lbottom.h"

#include <lauxlib.h>

/* Lua finds a frame only by its distance from the innermost, so this is a binary search. */
bool bottom_frame(lua_State *co, lua_Debug *ar) {
  int inside = 0, beyond = 1;
  if (!lua_getstack(co, 0, ar)) return false;
  while (lua_getstack(co, beyond, ar)) {
    inside = beyond;
    beyond *= 2;
  }
  while (beyond - inside > 1) {
    int middle = inside + (beyond - inside) / 2;
    if (lua_getstack(co, middle, ar))
      inside = middle;
    else
      beyond = middle;
  }
  return lua_getstack(co, inside, ar);
}

lua_CFunction bottom_function(lua_State *co) {
  lua_Debug ar;
  if (!lua_checkstack(co, 1) || !bottom_frame(co, &ar)) return NULL;
  lua_getinfo(co, "f", &ar);
  lua_CFunction function = lua_tocfunction(co, -1);
  lua_pop(co, 1);
  return function;
}

void bottom_push(lua_State *L, lua_State *co, int number) {
  luaL_checkstack(co, 1, NULL);
  lua_Debug ar;
  if (!bottom_frame(co, &ar) || !lua_getlocal(co, &ar, number)) lua_pushnil(co);
  if (co != L) lua_xmove(co, L, 1);
}
