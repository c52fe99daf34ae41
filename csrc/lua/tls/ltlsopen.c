/* SPDX-License-Identifier: MIT
 * The module braid.tls_core. Its value is a pointer to the functions of csrc/core/tls, for lua/io/ltls.c and for
 * others that have connections. It stays mapped until the process ends: see the Makefile. */
#include <lua.h>

#include "core/tls/connection.h"

__attribute__((visibility("default"))) int luaopen_braid_tls_core(lua_State *L);

int luaopen_braid_tls_core(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&braid_tls_table);
  return 1;
}
