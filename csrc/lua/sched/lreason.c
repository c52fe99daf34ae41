/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/sched/lreason.h"

#include <lauxlib.h>

#include "lua/base/lerror.h"
#include "lua/base/lregistry.h"

static const char REASONS; /* registry key, by address: canceller's address -> reason */

void reason_set(lua_State *L, const void *canceller) {
  lregistry_table(L, &REASONS, NULL);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, canceller);
  lua_pop(L, 1);
}

static void push_reason(lua_State *L, const void *canceller) {
  lregistry_table(L, &REASONS, NULL);
  lua_rawgetp(L, -1, canceller);
  lua_remove(L, -2);
}

void reason_push_error(lua_State *L, const void *canceller, const char *what) {
  push_reason(L, canceller);
  reason_make_error(L, what);
}

void reason_make_error(lua_State *L, const char *what) {
  int reason = lua_gettop(L);
  if (lua_isnil(L, reason))
    lerror_push(L, "cancelled", "%s", what);
  else
    lerror_push(L, "cancelled", "%s: %s", what, lerror_text(L, reason));
  lua_pushvalue(L, reason);
  lua_setfield(L, -2, "reason");
  lua_replace(L, reason);
  lua_settop(L, reason);
}
