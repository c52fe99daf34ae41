/* SPDX-License-Identifier: MIT
 * The module braid.sqlite_core. Its value is a pointer to the functions of csrc/core/sqlite, for lua/io/lsqlite.c. It
 * stays mapped until the process ends: see the Makefile. */
#include <lua.h>

#include "core/sqlite/engine.h"

__attribute__((visibility("default"))) int luaopen_braid_sqlite_core(lua_State *L);

int luaopen_braid_sqlite_core(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&braid_sqlite_table);
  return 1;
}
