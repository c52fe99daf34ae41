/* SPDX-License-Identifier: MIT
 * One weak table maps a task to its locals; the script's key is a light userdata. Until somebody asks for locals, a
 * spawn does not look at the table. */
#include "lua/sched/llocals.h"

#include <lauxlib.h>

#include "lua/base/lopen.h"
#include "lua/base/lregistry.h"

static const char LOCALS; /* registry key, by address */

/* Pushes the key of the current task. */
static void push_self(lua_State *L, struct sched *sched) {
  struct task *task = sched->current;
  if (!task->co) {
    lua_pushlightuserdata(L, task);
    return;
  }
  sched_push_task(L, task);
}

void locals_inherit(lua_State *L, struct sched *sched) {
  if (!sched->locals) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &LOCALS);
  int locals = lua_gettop(L), task = locals - 1;
  push_self(L, sched);
  if (lua_rawget(L, locals) == LUA_TTABLE) {
    lua_pushvalue(L, task);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, locals + 1);) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, locals + 3);
    }
    lua_rawset(L, locals);
  }
  lua_settop(L, task);
}

/* locals() -> the current task's own table */
static int lua_locals(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_settop(L, 0);
  lregistry_table(L, &LOCALS, "k");
  sched->locals = true;
  push_self(L, sched);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, 1) == LUA_TTABLE) return 1;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_insert(L, 2);
  lua_rawset(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {{"locals", lua_locals}, {NULL, NULL}};

void llocals_open(lua_State *L) { sched_register(L, functions); }
