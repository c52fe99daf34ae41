/* SPDX-License-Identifier: MIT
 * Reads Lua's debug information; changes nothing. */
#include "lsight.h"

#include <lauxlib.h>
#include <string.h>

#define HOME "braid.home"

void sight_set_home(lua_State *L, const char *prefix) {
  lua_pushstring(L, prefix);
  lua_setfield(L, LUA_REGISTRYINDEX, HOME);
}

static int is_ours(lua_State *L, const lua_Debug *ar) {
  lua_getfield(L, LUA_REGISTRYINDEX, HOME);
  const char *home = lua_tostring(L, -1);
  int ours = home && strncmp(ar->source, home, strlen(home)) == 0;
  lua_pop(L, 1);
  return ours;
}

/* The innermost Lua frame of `co` from `level` on that is the user's. */
static int users_frame(lua_State *L, lua_State *co, int level, lua_Debug *ar) {
  for (; lua_getstack(co, level, ar); level++) {
    lua_getinfo(co, "Sl", ar);
    if (ar->currentline > 0 && !is_ours(L, ar)) return 1;
  }
  return 0;
}

void sight_where(lua_State *L, int level) {
  lua_Debug ar;
  if (users_frame(L, L, level, &ar))
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "");
}

/* Pushes "queue:get" for the C function at the top of `co`, "sleep" when its first argument is no object of ours. */
static void push_wait(lua_State *L, lua_State *co, lua_Debug *ar) {
  lua_getinfo(co, "n", ar);
  const char *name = ar->name ? ar->name : "?", *class = NULL;
  if (lua_getlocal(co, ar, 1)) {
    if (luaL_getmetafield(co, -1, "__name") != LUA_TNIL) {
      class = lua_tostring(co, -1);
      lua_pop(co, 1);
    }
    lua_pop(co, 1);
  }
  if (class && strncmp(class, "braid.", 6) == 0)
    lua_pushfstring(L, "%s:%s", class + 6, name);
  else
    lua_pushstring(L, name);
}

void sight_place(lua_State *L, lua_State *co) {
  lua_Debug ar;
  int parts = 0;
  if (lua_getstack(co, 0, &ar)) {
    lua_getinfo(co, "S", &ar);
    if (*ar.what == 'C') {
      push_wait(L, co, &ar);
      parts++;
    }
  }
  if (users_frame(L, co, 0, &ar)) {
    lua_pushfstring(L, "%sat %s:%d", parts ? " " : "", ar.short_src, ar.currentline);
    parts++;
  }
  if (parts == 0) lua_pushliteral(L, "not started");
  if (parts == 2) lua_concat(L, 2);
}

/* Pushes "table.sort" for the function on the top of the stack when it is a field of a loaded module; pops it. */
static int push_global_name(lua_State *L) {
  int function = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, function + 1); lua_pop(L, 1)) {
    if (!lua_istable(L, -1) || lua_type(L, -2) != LUA_TSTRING) continue;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
      if (!lua_rawequal(L, -1, function) || lua_type(L, -2) != LUA_TSTRING) continue;
      const char *module = lua_tostring(L, -4), *name = lua_tostring(L, -2);
      lua_pushfstring(L, strcmp(module, LUA_GNAME) == 0 ? "%s%s" : "%s.%s",
                      strcmp(module, LUA_GNAME) == 0 ? "" : module, name);
      lua_replace(L, function);
      lua_settop(L, function);
      return 1;
    }
  }
  lua_settop(L, function - 1);
  return 0;
}

void sight_callee(lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 0, &ar)) {
    lua_pushliteral(L, "?");
    return;
  }
  lua_getinfo(L, "nf", &ar);
  if (ar.name) {
    lua_pop(L, 1);
    lua_pushstring(L, ar.name);
  } else if (push_global_name(L)) {
    const char *name = lua_tostring(L, -1), *last = strrchr(name, '.');
    lua_pushstring(L, last ? last + 1 : name);
    lua_remove(L, -2);
  } else {
    lua_pushliteral(L, "?");
  }
}

int sight_culprit(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sfn", &ar);
    if (*ar.what != 'C') {
      lua_pop(L, 1);
      continue;
    }
    if (!push_global_name(L)) lua_pushstring(L, ar.name ? ar.name : "a C function");
    const char *name = lua_tostring(L, -1);
    if (strcmp(name, "pcall") != 0 && strcmp(name, "xpcall") != 0) return 1;
    lua_pop(L, 1);
  }
  return 0;
}
