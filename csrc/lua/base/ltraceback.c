/* SPDX-License-Identifier: MIT
 * Code that passes an error on leaves the error's place in the frame of the C function that raises it. Message handlers
 * find it there. So the place belongs to this one raise, caught or not, and the error may be any value. */
#include "lua/base/ltraceback.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/lposition.h"

enum {
  EDGE = 11,   /* levels shown at each end of a deep stack */
  MOST = 1000, /* levels searched for a pcall */
  ORIGIN_MARK = 1,
  ORIGIN_PLACE
};

/* Its address marks a frame that holds a place. It is also the registry's key of the set of functions that catch
 * errors. */
static const char ORIGIN;
static const char HEADING[] = "stack traceback:";

/* ---- the text ------------------------------------------------------------------------------------------------- */

static bool shows_all(void) {
  const char *wanted = getenv("BRAID_DEBUG");
  return wanted && *wanted && *wanted != '0';
}

enum choice { USERS, NATIVE, ALL }; /* which frames to show */

/* A C frame counts as the user's if the Lua function that called it is. At the bottom it counts as nobody's. */
static bool is_users(lua_State *co, int level) {
  lua_Debug ar;
  for (; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "S", &ar);
    if (*ar.what != 'C') return !position_is_ours(&ar);
  }
  return false;
}

static bool is_chosen(lua_State *co, int level, enum choice choice) {
  lua_Debug ar;
  if (choice == USERS) return is_users(co, level);
  lua_getstack(co, level, &ar);
  lua_getinfo(co, "S", &ar);
  return choice == ALL || *ar.what == 'C';
}

/* Adds the function of a frame, in the form of luaL_traceback. */
static void add_function(lua_State *L, lua_State *co, luaL_Buffer *text, lua_Debug *ar) {
  lua_getinfo(co, "f", ar);
  lua_xmove(co, L, 1);
  if (position_global_name(L)) {
    lua_pushfstring(L, "function '%s'", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else if (*ar->namewhat != '\0') {
    lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
  } else if (*ar->what == 'm') {
    lua_pushliteral(L, "main chunk");
  } else if (*ar->what != 'C') {
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  } else {
    lua_pushliteral(L, "?");
  }
  luaL_addvalue(text);
}

static void add_frame(lua_State *L, lua_State *co, luaL_Buffer *text, lua_Debug *ar) {
  lua_getinfo(co, "Slnt", ar);
  if (ar->currentline <= 0)
    lua_pushfstring(L, "\n\t%s: in ", ar->short_src);
  else
    lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
  luaL_addvalue(text);
  add_function(L, co, text, ar);
  if (ar->istailcall) luaL_addstring(text, "\n\t(...tail calls...)");
}

/* The number of levels of the stack. Lua finds a level only by its distance from the innermost, so this is a binary
 * search. */
static int depth_of(lua_State *co) {
  lua_Debug ar;
  int below = 0, above = 1;
  while (lua_getstack(co, above, &ar)) below = above, above *= 2;
  while (below < above) {
    int middle = below + (above - below) / 2;
    if (lua_getstack(co, middle, &ar))
      below = middle + 1;
    else
      above = middle;
  }
  return below;
}

static int add_frames(lua_State *L, lua_State *co, luaL_Buffer *text, int level, enum choice choice) {
  lua_Debug ar;
  int depth = depth_of(co), shown = 0;
  bool deep = depth - level > 2 * EDGE;
  for (int first = level; level < depth; level++) {
    if (deep && level == first + EDGE) {
      lua_pushfstring(L, "\n\t...\t(skipping %d levels)", depth - EDGE - level);
      luaL_addvalue(text);
      level = depth - EDGE;
    }
    if (!is_chosen(co, level, choice)) continue;
    lua_getstack(co, level, &ar);
    add_frame(L, co, text, &ar);
    shown++;
  }
  return shown;
}

static enum choice chosen(void) { return shows_all() ? ALL : USERS; }

void traceback_push(lua_State *L, lua_State *co, int level) {
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  luaL_addstring(&text, HEADING);
  if (add_frames(L, co, &text, level, chosen()) == 0) add_frames(L, co, &text, level, NATIVE);
  luaL_pushresult(&text);
}

/* ---- the place of an error that goes on ----------------------------------------------------------------------- */

/* Pushes the place that traceback_raise left in a frame; returns false if there is none. */
static bool push_origin(lua_State *L, lua_State *co, int level) {
  lua_Debug ar;
  if (!lua_getstack(co, level, &ar) || !lua_getlocal(co, &ar, ORIGIN_MARK)) return false;
  bool marked = lua_touserdata(co, -1) == &ORIGIN;
  lua_pop(co, 1);
  if (!marked || !lua_getlocal(co, &ar, ORIGIN_PLACE)) return false;
  lua_xmove(co, L, 1);
  return true;
}

void traceback_take(lua_State *L, lua_State *co, int level) {
  if (!push_origin(L, co, level)) traceback_push(L, co, level);
}

/* Whether this slot of a C function's frame is not nil. */
static bool has_value(lua_State *L, const lua_Debug *ar, int slot) {
  if (!lua_getlocal(L, ar, slot)) return false;
  bool has = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return has;
}

/* Whether an error raised here would end the script: no pcall is between this call and the interpreter. */
static bool is_uncaught(lua_State *L) {
  bool script = lua_pushthread(L) == 1;
  lua_pop(L, 1);
  if (!script || lua_rawgetp(L, LUA_REGISTRYINDEX, &ORIGIN) != LUA_TTABLE) return false;
  lua_Debug ar;
  int catchers = lua_gettop(L), level = 0;
  bool caught = false;
  for (; !caught && level < MOST && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "f", &ar);
    lua_rawget(L, catchers);
    caught = lua_isinteger(L, -1) ? has_value(L, &ar, (int)lua_tointeger(L, -1)) : lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  lua_settop(L, catchers - 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushliteral(L, "arg");
  bool has_interpreter = lua_rawget(L, -2) == LUA_TTABLE;
  lua_pop(L, 2);
  return !caught && level < MOST && has_interpreter;
}

/* Raises the error below the top of the stack, in the form in which the interpreter prints it with its place. */
static int raise_to_interpreter(lua_State *L) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    traceback_push(L, L, 0);
  }
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.uncaught") != LUA_TFUNCTION) {
    lua_pop(L, 2);
    return lua_error(L);
  }
  lua_insert(L, -3);
  lua_call(L, 2, 1);
  return lua_error(L);
}

int traceback_raise(lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (is_uncaught(L)) return raise_to_interpreter(L);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return lua_error(L);
  }
  lua_insert(L, 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&ORIGIN);
  lua_insert(L, 1);
  return lua_error(L); /* the mark and the place stay below it until the handlers have run */
}

int traceback_raise_on(lua_State *L) {
  luaL_Buffer text;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_isnil(L, -1)) return traceback_raise(L);
  luaL_buffinit(L, &text);
  add_frames(L, L, &text, 0, chosen());
  luaL_pushresult(&text);
  lua_concat(L, 2);
  return traceback_raise(L);
}

void traceback_open(lua_State *L) {
  static const char *const names[] = {"pcall", "xpcall"};
  lua_createtable(L, 0, 2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    lua_pushstring(L, names[i]);
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {
      lua_pushboolean(L, 1);
      lua_rawset(L, -4);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &ORIGIN);
}

void traceback_add_catcher(lua_State *L, int slot) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &ORIGIN);
  lua_insert(L, -2);
  lua_pushinteger(L, slot);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}
