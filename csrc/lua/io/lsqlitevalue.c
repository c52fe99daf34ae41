/* SPDX-License-Identifier: MIT
 * A value is a letter for its type; a text or a blob has its size before its bytes. */
#include "lua/io/lsqlitevalue.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"

static int64_t read_number(struct lsqlite_reader *reader) {
  int64_t number;
  memcpy(&number, reader->at, sizeof number);
  reader->at += sizeof number;
  return number;
}

void lsqlite_push_value(lua_State *L, struct lsqlite_reader *reader, bool null) {
  char tag = *reader->at++;
  lua_Number real;
  if (tag == 'n') {
    if (null)
      lua_pushlightuserdata(L, NULL);
    else
      lua_pushnil(L);
    return;
  }
  int64_t number = read_number(reader);
  if (tag == 'i') {
    lua_pushinteger(L, number);
  } else if (tag == 'd') {
    memcpy(&real, &number, sizeof real);
    lua_pushnumber(L, real);
  } else {
    lua_pushlstring(L, reader->at, (size_t)number);
    reader->at += number;
  }
}

static bool append(struct braid_buffer *buffer, char tag, const void *bytes, size_t size, bool sized) {
  int64_t number = (int64_t)size;
  return braid_buffer_append(buffer, &tag, 1) && (!sized || braid_buffer_append(buffer, &number, sizeof number)) &&
         braid_buffer_append(buffer, bytes, size);
}

/* The bytes of a blob, which it pushes; false if the value is none. */
static bool push_blob(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, LSQLITE_BLOB);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (same) lua_rawgeti(L, index, 1);
  return same;
}

static bool append_text(lua_State *L, struct braid_buffer *buffer, int index, char tag) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  return append(buffer, tag, text, size, true);
}

/* Appends the value at `index`. `name`: of the parameter, for errors. */
static void add_value(lua_State *L, struct braid_buffer *buffer, int index, const char *name) {
  lua_Integer integer;
  lua_Number real;
  bool done;
  switch (lua_type(L, index)) {
    case LUA_TNIL: done = append(buffer, 'n', NULL, 0, false); break;
    case LUA_TBOOLEAN:
      integer = lua_toboolean(L, index);
      done = append(buffer, 'i', &integer, sizeof integer, false);
      break;
    case LUA_TNUMBER:
      integer = lua_tointeger(L, index);
      real = lua_tonumber(L, index);
      done = lua_isinteger(L, index) ? append(buffer, 'i', &integer, sizeof integer, false)
                                     : append(buffer, 'd', &real, sizeof real, false);
      break;
    case LUA_TSTRING: done = append_text(L, buffer, index, 't'); break;
    case LUA_TTABLE:
      if (!push_blob(L, index)) goto refuse;
      done = append_text(L, buffer, -1, 'b');
      lua_pop(L, 1);
      break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index)) goto refuse;
      done = append(buffer, 'n', NULL, 0, false);
      break;
    default: goto refuse;
  }
  if (!done) lerror_memory(L);
  return;
refuse:
  lerror_misuse(L, "parameter %s is %s, and a string, number, boolean, blob or nil was expected", name,
                larg_describe(L, index));
}

/* The parameters of a table: :name, @name or $name. */
static void add_named(lua_State *L, struct braid_buffer *buffer, int index) {
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) lerror_misuse(L, "a table of parameters has their names as keys");
    if (!append_text(L, buffer, -2, 'k')) lerror_memory(L);
    add_value(L, buffer, lua_gettop(L), lua_tostring(L, -2));
  }
}

static bool is_named(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  bool blob = push_blob(L, index);
  if (blob) lua_pop(L, 1);
  return !blob;
}

void lsqlite_add_values(lua_State *L, struct braid_sqlite_call *call, int first, int last) {
  char name[16];
  call->count = last - first + 1;
  luaL_checkstack(L, LUA_MINSTACK, "parameters");
  if (first == last && is_named(L, first)) {
    add_named(L, &call->values, first);
    return;
  }
  for (int i = first; i <= last; i++) {
    snprintf(name, sizeof name, "%d", i - first + 1);
    add_value(L, &call->values, i, name);
  }
}

/* The number of values of the list on the top; -1: they have names. */
static lua_Integer count_values(lua_State *L) {
  lua_getfield(L, -1, "n");
  lua_Integer count = lua_tointeger(L, -1), length = (lua_Integer)lua_rawlen(L, -2);
  lua_pop(L, 1);
  if (count < length) count = length;
  if (count > 0) return count;
  lua_pushnil(L);
  if (!lua_next(L, -2)) return 0;
  lua_pop(L, 2);
  return -1;
}

void lsqlite_add_lists(lua_State *L, struct braid_sqlite_call *call, int index, lua_Integer first, lua_Integer last) {
  char name[48];
  luaL_checkstack(L, LUA_MINSTACK, "parameters");
  for (lua_Integer i = first; i <= last; i++) {
    if (lua_rawgeti(L, index, i) != LUA_TTABLE)
      lerror_misuse(L, "list %I of the parameters is %s, and a table was expected", (LUAI_UACINT)i,
                    larg_describe(L, lua_gettop(L)));
    if (!braid_buffer_append(&call->values, "r", 1)) lerror_memory(L);
    lua_Integer count = count_values(L);
    if (count < 0) add_named(L, &call->values, lua_gettop(L));
    for (lua_Integer place = 1; place <= count; place++) {
      lua_rawgeti(L, -1, place);
      snprintf(name, sizeof name, "%d of list %d", (int)place, (int)i);
      add_value(L, &call->values, lua_gettop(L), name);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}
