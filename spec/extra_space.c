/* SPDX-License-Identifier: MIT
 * For spec/regress/extra_space_spec.lua: a host that keeps a pointer in the extra space of its states. */
#include <lauxlib.h>
#include <string.h>

int luaopen_extra_space(lua_State *L);

static const char MARK;

/* mark(): the main state has the pointer; new coroutines get a copy from it. */
static int mark(lua_State *L) {
  const void *pointer = &MARK;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  memcpy(lua_getextraspace(lua_tothread(L, -1)), &pointer, sizeof pointer);
  return 0;
}

/* read() -> "marked", "empty" or "something else": what the calling coroutine has */
static int read(lua_State *L) {
  const void *pointer;
  memcpy(&pointer, lua_getextraspace(L), sizeof pointer);
  lua_pushstring(L, pointer == &MARK ? "marked" : pointer ? "something else" : "empty");
  return 1;
}

int luaopen_extra_space(lua_State *L) {
  static const luaL_Reg functions[] = {{"mark", mark}, {"read", read}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
