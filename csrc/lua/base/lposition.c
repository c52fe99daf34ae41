/* SPDX-License-Identifier: MIT
 * Reads Lua's debug information and changes nothing. */
#include "lua/base/lposition.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/base.h"

enum { HOMES = 2 };

/* The prefixes. All states of the process share them; the first state sets them. */
static struct {
  atomic_flag taken; /* a state sets them, or has set them */
  atomic_bool set;
  char prefixes[HOMES][512]; /* "": none */
} homes = {.taken = ATOMIC_FLAG_INIT};

void position_set_home(const char *prefix, const char *moved) {
  const char *wanted[HOMES] = {prefix, moved};
  if (atomic_flag_test_and_set(&homes.taken)) return;
  for (int i = 0; i < HOMES; i++)
    if (strlen(wanted[i]) < sizeof homes.prefixes[i]) strcpy(homes.prefixes[i], wanted[i]);
  atomic_store(&homes.set, true);
}

bool position_is_ours(const lua_Debug *ar) {
  if (!atomic_load_explicit(&homes.set, memory_order_acquire)) return false;
  for (int i = 0; i < HOMES; i++) {
    const char *prefix = homes.prefixes[i];
    if (*prefix && strncmp(ar->source, prefix, strlen(prefix)) == 0) return true;
  }
  return false;
}

/* Finds the innermost Lua frame of the user at `level` or further out. */
static int users_frame(lua_State *co, int level, lua_Debug *ar) {
  for (; lua_getstack(co, level, ar); level++) {
    lua_getinfo(co, "Sl", ar);
    if (ar->currentline > 0 && !position_is_ours(ar)) return 1;
  }
  return 0;
}

void position_where(lua_State *L, int level) {
  lua_Debug ar;
  if (users_frame(L, level, &ar))
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "");
}

void position_stand(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (!users_frame(co, 0, &ar)) {
    lua_pushliteral(L, "in C");
    return;
  }
  lua_getinfo(co, "n", &ar);
  lua_pushfstring(L, "%s%sat %s:%d", ar.name ? ar.name : "", ar.name ? " " : "", ar.short_src, ar.currentline);
}

/* Whether a program knows a module of braid by its name: braid.http, but not braid.core, braid.tasks.task. */
static bool is_internal(const char *module) {
  if (strncmp(module, "braid.", 6) != 0) return false;
  size_t length = strlen(module);
  return strchr(module + 6, '.') || strcmp(module + length - 4, "core") == 0;
}

/* The field of a module is the function at `function`: puts its full name into the next slot. */
static bool keep_name(lua_State *L, int function, const char *module, const char *name) {
  bool global = strcmp(module, LUA_GNAME) == 0;
  if (global || is_internal(module))
    lua_pushstring(L, name);
  else
    lua_pushfstring(L, "%s.%s", module, name);
  lua_replace(L, function + 1);
  return global || strcmp(module, "braid") == 0;
}

/* Stack: the function, the name that was found, the loaded modules, a module's name, its table. Whether no better name
 * can be found. */
static bool look_into(lua_State *L, int function) {
  if (!lua_istable(L, -1) || lua_type(L, -2) != LUA_TSTRING) return false;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (!lua_rawequal(L, -1, function) || lua_type(L, -2) != LUA_TSTRING) continue;
    bool best = keep_name(L, function, lua_tostring(L, -4), lua_tostring(L, -2));
    lua_pop(L, 2);
    return best;
  }
  return false;
}

int position_global_name(lua_State *L) {
  int function = lua_gettop(L);
  lua_pushnil(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, function + 2); lua_pop(L, 1))
    if (look_into(L, function)) break;
  lua_settop(L, function + 1);
  bool found = !lua_isnil(L, -1);
  lua_replace(L, function);
  if (!found) lua_pop(L, 1);
  return found;
}

/* Pushes "queue:get" for the C function at the top of `co`; "sleep" if its first argument is no object of braid. */
static void push_wait(lua_State *L, lua_State *co, lua_Debug *ar) {
  lua_getinfo(co, "nf", ar);
  lua_xmove(co, L, 1);
  if (ar->name) {
    lua_pop(L, 1);
    lua_pushstring(L, strcmp(ar->name, "for iterator") == 0 ? "items" : ar->name); /* the iterator of queue:items() */
  } else if (!position_global_name(L)) {
    lua_pushliteral(L, "?");
  }
  const char *name = lua_tostring(L, -1), *class = NULL;
  if (strrchr(name, '.')) name = strrchr(name, '.') + 1;
  if (strcmp(name, "within_scope") == 0) name = "end"; /* of braid.scope: it waits for the tasks inside */
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
  lua_remove(L, -2);
}

void position_place(lua_State *L, lua_State *co) {
  lua_Debug ar;
  int parts = 0;
  if (lua_getstack(co, 0, &ar)) {
    lua_getinfo(co, "S", &ar);
    if (*ar.what == 'C') {
      push_wait(L, co, &ar);
      parts++;
    }
  }
  if (users_frame(co, 0, &ar)) {
    lua_pushfstring(L, "%sat %s:%d", parts ? " " : "", ar.short_src, ar.currentline);
    parts++;
  }
  if (parts == 0) lua_pushliteral(L, "not started");
  if (parts == 2) lua_concat(L, 2);
}

/* Replaces the name on the top of the stack by its last part: "sort" for "table.sort". */
static void shorten(lua_State *L) {
  const char *name = lua_tostring(L, -1), *last = strrchr(name, '.');
  lua_pushstring(L, last ? last + 1 : name);
  lua_remove(L, -2);
}

/* Pushes the name of a frame's function: the name in the call, else the name in its module. `module_first` reverses the
 * order. Returns 0 if there is no name. */
static int push_name(lua_State *L, lua_Debug *ar, bool module_first) {
  lua_getinfo(L, "nf", ar);
  if (ar->name && !module_first) {
    lua_pop(L, 1);
  } else if (position_global_name(L)) {
    shorten(L);
    return 1;
  }
  if (!ar->name) return 0;
  lua_pushstring(L, *ar->name == '_' ? ar->name + 1 : ar->name); /* the Lua method `set` calls the C method `_set` */
  return 1;
}

/* If a Lua function of braid called the C function, the user knows only the Lua function's name. */
void position_callee(lua_State *L) {
  lua_Debug ar;
  int level = 0;
  bool named = lua_getstack(L, 0, &ar) && push_name(L, &ar, false);
  while (lua_getstack(L, ++level, &ar)) {
    lua_getinfo(L, "S", &ar);
    if (*ar.what == 'C' || !position_is_ours(&ar)) break;
    if (!push_name(L, &ar, true)) continue;
    if (named) lua_remove(L, -2);
    named = true;
  }
  if (!named) lua_pushliteral(L, "?");
}

int position_culprit(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sfn", &ar);
    if (strcmp(ar.namewhat, "hook") == 0) {
      lua_pop(L, 1);
      lua_pushliteral(L, "a debug hook");
      return 1;
    }
    if (*ar.what != 'C') {
      lua_pop(L, 1);
      continue;
    }
    if (!position_global_name(L)) lua_pushstring(L, ar.name ? ar.name : "a C function");
    const char *name = lua_tostring(L, -1);
    if (strcmp(name, "pcall") != 0 && strcmp(name, "xpcall") != 0) return 1;
    lua_pop(L, 1);
  }
  return 0;
}
