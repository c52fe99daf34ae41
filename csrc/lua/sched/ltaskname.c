/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/sched/ltaskname.h"

#include "core/inspect/trace.h"
#include "lua/base/lregistry.h"

/* Registry keys, by address. */
static const char NAMES; /* task -> name, weak */
static const char IDS;   /* task -> id, weak */

static void set(lua_State *L, int index, const char *key) {
  lregistry_table(L, key, "k");
  lua_pushvalue(L, index);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static void push(lua_State *L, int index, const char *key) {
  index = lua_absindex(L, index);
  lregistry_table(L, key, "k");
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

void taskname_set(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (braid_trace_is_on() && lua_isstring(L, -1))
    braid_trace_record(BRAID_TRACE_NAME, lua_touserdata(L, index), lua_tostring(L, -1));
  set(L, index, &NAMES);
}

void taskname_push(lua_State *L, int index) { push(L, index, &NAMES); }

void taskname_set_id(lua_State *L, int index) { set(L, lua_absindex(L, index), &IDS); }

void taskname_push_id(lua_State *L, int index) { push(L, index, &IDS); }
