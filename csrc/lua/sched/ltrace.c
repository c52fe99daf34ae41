/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/sched/ltrace.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "lua/base/larg.h"
#include "lua/base/lopen.h"
#include "lua/base/lposition.h"

enum origin { NO_LUA_FUNCTION, BRAIDS, USERS };

/* Whose Lua function the value at `index` is. For any function `ar` describes its definition. */
static enum origin origin_of(lua_State *L, int index, lua_Debug *ar) {
  if (!lua_isfunction(L, index)) return NO_LUA_FUNCTION;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", ar);
  if (*ar->what == 'C') return NO_LUA_FUNCTION;
  return position_is_ours(ar) ? BRAIDS : USERS;
}

void trace_name_by(lua_State *L, int index, const void *whose) {
  lua_Debug ar = {.what = "C"}, other;
  char name[16 + LUA_IDSIZE];
  if (!lua_checkstack(L, 1)) return;
  enum origin origin = origin_of(L, index, &ar);
  for (int i = index + 1; i <= lua_gettop(L) && origin != USERS; i++) {
    enum origin next = origin_of(L, i, &other);
    if (next > origin) origin = next;
    if (next == USERS) ar = other;
  }
  const char *file = strrchr(ar.short_src, '/');
  snprintf(name, sizeof name, "%s:%d", file ? file + 1 : ar.short_src, ar.linedefined);
  braid_trace_record(BRAID_TRACE_NAME, whose,
                     origin == USERS    ? name
                     : origin == BRAIDS ? "braid" /* as of a task that serves a worker's jobs */
                                        : "a C function");
}

/* trace_start() -> whether the trace was started; false: somebody traces already */
static int trace_start(lua_State *L) {
  lua_pushboolean(L, braid_trace_start());
  return 1;
}

/* trace_stop(): nothing is recorded from now on */
static int trace_stop(lua_State *L) {
  (void)L;
  braid_trace_stop();
  return 0;
}

/* trace_event(i) -> what, whose, track, seconds, name; nil after the last. Only while nobody traces. */
static int trace_event(lua_State *L) {
  static const char *const names[] = {"name", "step", "park", "submit", "run", "done", "home", "kernel", "kernel_end"};
  struct braid_trace_event event;
  if (!braid_trace_read((size_t)larg_integer(L, 1, "i", 1) - 1, &event)) return 0;
  lua_pushstring(L, names[event.kind]);
  lua_pushinteger(L, (lua_Integer)(intptr_t)event.whose);
  lua_pushinteger(L, event.track);
  lua_pushnumber(L, (lua_Number)event.time / (lua_Number)BRAID_SECOND);
  lua_pushstring(L, event.name);
  return 5;
}

static const luaL_Reg functions[] = {
    {"trace_start", trace_start}, {"trace_stop", trace_stop}, {"trace_event", trace_event}, {NULL, NULL}};

void ltrace_open(lua_State *L) { luaL_setfuncs(L, functions, 0); }
