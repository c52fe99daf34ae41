/* SPDX-License-Identifier: MIT
 * The module braid.tls_core, a table. `functions` is a pointer to the functions of csrc/core/tls, for lua/io/ltls.c and
 * for others that have connections; the rest is for lua/braid/luasocket. It stays mapped until the process ends: see
 * the Makefile. */
#include "lua/tls/ltlsopen.h"

#include <lauxlib.h>

#include "core/tls/connection.h"
#include "lua/tls/lhmac.h"

__attribute__((visibility("default"))) int luaopen_braid_tls_core(lua_State *L);

int luaopen_braid_tls_core(lua_State *L) {
  lua_newtable(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&braid_tls_table);
  lua_setfield(L, -2, "functions");
  lx509_open(L);
  lluasec_open(L);
  lhmac_open(L);
  return 1;
}
