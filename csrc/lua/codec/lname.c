/* SPDX-License-Identifier: MIT
 * The table of names is filled from package.loaded. It is filled again when a fingerprint of the keys and values of
 * package.loaded has changed. So a field that a module gets later is found only after the next module is loaded, or
 * after lname_outdate.
 *
 * Of the globals only C functions have names, because a script's own globals do not exist in other states. Of a
 * module's tables only classes have names; other tables are data, and their content is sent.
 *
 * The table also has the addresses of C functions as light userdata. A program may load a module twice, as busted does
 * for each file of specs: then what is left of the first load has the same C functions in other closures. */
#include "lua/codec/lname.h"

#include <lauxlib.h>
#include <stdint.h>
#include <string.h>

#include "lua/base/lerror.h"
#include "lua/base/lregistry.h"
#include "lua/sched/lsched.h"

static const char NAMES; /* the table's registry key */
static const char PRINT; /* the fingerprint's key in that table */

void lname_table(lua_State *L) { lregistry_table(L, &NAMES, "k"); }

/* ---- filling the table ----------------------------------------------------------------------------------------- */

/* A name in parts: module, field, field of the field. */
struct name {
  int names; /* stack index of the table of names */
  bool last; /* do not replace the name that a value has already */
  int count;
  const char *part[3];
};

/* Names with fewer parts are better, then shorter ones, then the alphabetically first. So the choice does not depend on
 * the order in which tables are walked. */
static bool is_better(const char *name, size_t size, const char *than, size_t than_size) {
  size_t zeros = 0, than_zeros = 0;
  for (size_t i = 0; i < size; i++) zeros += name[i] == '\0';
  for (size_t i = 0; i < than_size; i++) than_zeros += than[i] == '\0';
  if (zeros != than_zeros) return zeros < than_zeros;
  if (size != than_size) return size < than_size;
  return memcmp(name, than, size) < 0;
}

/* Adds this name for the value on the top of the stack. */
static void add(lua_State *L, const struct name *name) {
  luaL_Buffer buffer;
  size_t size, before_size;
  lua_pushvalue(L, -1);
  luaL_buffinit(L, &buffer);
  for (int i = 0; i < name->count; i++) {
    if (i > 0) luaL_addchar(&buffer, '\0');
    luaL_addstring(&buffer, name->part[i]);
  }
  luaL_pushresult(&buffer);
  lua_pushvalue(L, -2);
  if (lua_rawget(L, name->names) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, -2, &size), *before = lua_tolstring(L, -1, &before_size);
    if (name->last || !is_better(text, size, before, before_size)) {
      lua_pop(L, 3);
      return;
    }
  }
  lua_pop(L, 1);
  lua_rawset(L, name->names);
}

/* Makes the key (below the top of the stack) the last part of the name. False: it is no string, or contains zeros. */
static bool key_is_part(lua_State *L, struct name *name) {
  size_t size;
  if (lua_type(L, -2) != LUA_TSTRING) return false;
  name->part[name->count - 1] = lua_tolstring(L, -2, &size);
  return strlen(name->part[name->count - 1]) == size;
}

static bool has(lua_State *L, const char *field) {
  lua_pushstring(L, field);
  bool found = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

bool lname_push_address(lua_State *L, int index) {
  lua_CFunction function = lua_tocfunction(L, index);
  if (!function) return false;
  index = lua_absindex(L, index);
  if (lua_getupvalue(L, index, 1)) { /* data of its own, unless it is the scheduler of this Lua state */
    bool ours = lua_islightuserdata(L, -1) && lua_touserdata(L, -1) == sched_open(L);
    lua_pop(L, 1);
    if (!ours) return false;
    if (lua_getupvalue(L, index, 2)) {
      lua_pop(L, 1);
      return false;
    }
  }
  lua_pushlightuserdata(L, (void *)(uintptr_t)function);
  return true;
}

/* Adds this name for the value on the top of the stack, and for its address. */
static void add_value(lua_State *L, const struct name *name) {
  add(L, name);
  if (!lname_push_address(L, -1)) return;
  add(L, name);
  lua_pop(L, 1);
}

/* Adds the functions of the table on the top of the stack, and its classes with their functions. */
static void add_fields(lua_State *L, struct name *name) {
  luaL_checkstack(L, 12, NULL);
  name->count++;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (!key_is_part(L, name)) continue;
    bool class = name->count == 2 && lua_istable(L, -1) && (has(L, "__index") || has(L, "__name"));
    if (class || lua_isfunction(L, -1)) add_value(L, name);
    if (class) add_fields(L, name);
  }
  name->count--;
}

static void add_globals(lua_State *L, struct name *name) {
  name->count = 2;
  name->last = true;
  name->part[0] = LUA_GNAME;
  lua_pushglobaltable(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (key_is_part(L, name) && lua_iscfunction(L, -1)) add_value(L, name);
  lua_pop(L, 1);
}

/* Adds all modules of package.loaded, which is on the top of the stack, and then their fields. */
static void add_all(lua_State *L, int names) {
  struct name name = {.names = names, .count = 1};
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    bool has_identity = lua_istable(L, -1) || lua_isfunction(L, -1) || lua_isuserdata(L, -1);
    if (key_is_part(L, &name) && has_identity && strcmp(name.part[0], LUA_GNAME) != 0) add(L, &name);
  }
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (key_is_part(L, &name) && lua_istable(L, -1) && strcmp(name.part[0], LUA_GNAME) != 0) add_fields(L, &name);
  add_globals(L, &name);
}

/* A fingerprint of package.loaded, which is on the top of the stack. Does not depend on the order. */
static lua_Integer fingerprint(lua_State *L) {
  uint64_t sum = 1;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    uint64_t key = (uintptr_t)lua_topointer(L, -2), value = (uintptr_t)lua_topointer(L, -1);
    sum += (key * UINT64_C(0x9E3779B97F4A7C15) ^ value) * UINT64_C(0xD6E8FEB86659FD93);
  }
  return (lua_Integer)sum;
}

void lname_outdate(lua_State *L) {
  lname_table(L);
  lua_pushnil(L);
  lua_rawsetp(L, -2, &PRINT);
  lua_pop(L, 1);
}

bool lname_update(lua_State *L, int index) {
  luaL_checkstack(L, 12, NULL);
  index = lua_absindex(L, index);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_Integer print = fingerprint(L);
  bool known = lua_rawgetp(L, index, &PRINT) == LUA_TNUMBER && lua_tointeger(L, -1) == print;
  lua_pop(L, 1);
  if (!known) {
    for (lua_pushnil(L); lua_next(L, index);) { /* clear it */
      lua_pop(L, 1);
      lua_pushvalue(L, -1);
      lua_pushnil(L);
      lua_rawset(L, index);
    }
    add_all(L, index);
    lua_pushinteger(L, print);
    lua_rawsetp(L, index, &PRINT);
  }
  lua_pop(L, 1);
  return !known;
}

/* ---- finding the value of a name ------------------------------------------------------------------------------- */

/* Pushes the module; requires it if it is not loaded. */
static void push_module(lua_State *L, const char *module) {
  if (strcmp(module, LUA_GNAME) == 0) {
    lua_pushglobaltable(L);
    return;
  }
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, module) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
      lerror_raise(L, "not_sendable", "module '%s' travels by its name, and cannot be loaded here: %s", module,
                   lerror_text(L, -1));
  }
  lua_remove(L, -2);
}

/* Pushes the name with dots: "string.format". */
static void push_readable(lua_State *L, const char *name, size_t size) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (size_t i = 0; i < size; i++) luaL_addchar(&buffer, name[i] ? name[i] : '.');
  luaL_pushresult(&buffer);
}

void lname_push(lua_State *L, const char *name, size_t size) {
  luaL_checkstack(L, 8, NULL);
  name = lua_pushlstring(L, name, size); /* this copy has a zero byte at its end */
  push_module(L, name);
  for (const char *part = name + strlen(name) + 1; part <= name + size; part += strlen(part) + 1) {
    if (lua_istable(L, -1))
      lua_getfield(L, -1, part);
    else
      lua_pushnil(L);
    lua_remove(L, -2);
  }
  if (lua_isnil(L, -1)) {
    push_readable(L, name, size);
    lerror_raise(L, "not_sendable", "%s travels by its name, and is not there in this state", lua_tostring(L, -1));
  }
  lua_remove(L, -2);
}
