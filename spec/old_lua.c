/* SPDX-License-Identifier: MIT
 * For spec/regress/release_spec.lua: runs the code of its argument in a Lua in which no `<close>` variable may wait, as
 * it was before 5.4.3: the values that C functions mark are not closed at all. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

void lua_toclose(lua_State *L, int index) { (void)L, (void)index; } /* in front of Lua's own: see the Makefile */

int main(int count, char **arguments) {
  lua_State *L = luaL_newstate();
  if (!L || count != 2) return 2;
  luaL_openlibs(L);
  int failed = luaL_dostring(L, arguments[1]);
  if (failed) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed;
}
