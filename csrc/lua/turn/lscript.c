/* SPDX-License-Identifier: MIT
 * How a script ends: by itself, with an error that nothing catches, or with os.exit. When Lua closes the state it does
 * not tell whether there was an error. But the interpreter calls the script with a message handler, which is among the
 * temporaries of the outermost frame, that of a C function. This file replaces it, with lua_setlocal, by a handler that
 * sets a flag and calls the original one. Without such a handler, a script counts as ended by itself. */
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/work/tally.h"
#include "core/base/thread.h"
#include "lua/base/larg.h"
#include "lua/base/lopen.h"
#include "lua/sched/lbottom.h"
#include "lua/pool/lworker.h"
#include "lua/turn/lturn.h"

/* ---- uncaught errors ------------------------------------------------------------------------------------------ */

/* Removes the traceback's line for the function in this file. */
static void leave_out_own_frame(lua_State *L) {
  static const char top[] = "\nstack traceback:\n\t[C]: in ?", heading[] = "\nstack traceback:";
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  const char *at = text ? strstr(text, top) : NULL;
  if (!at) return;
  lua_pushlstring(L, text, (size_t)(at - text));
  lua_pushstring(L, heading);
  lua_pushstring(L, at + sizeof top - 1);
  lua_concat(L, 3);
}

/* The message handler. Upvalues: the scheduler, the original handler. */
static int on_uncaught(lua_State *L) {
  sched_of(L)->leaving = true;
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  leave_out_own_frame(L);
  return 1;
}

/* Pushes the last C function among the temporaries of the frame, and returns its index. 0: there is none; nothing is
 * pushed. */
static int find_handler(lua_State *L, const lua_Debug *ar) {
  int last = 0;
  for (int i = 1; lua_getlocal(L, ar, i); i++) {
    if (lua_iscfunction(L, -1)) last = i;
    lua_pop(L, 1);
  }
  if (last) lua_getlocal(L, ar, last);
  return last;
}

/* watch_end(): from now on an error that ends the script is noticed */
static int watch_end(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_State *script = sched->L;
  lua_Debug ar;
  if (sched->worker || !lua_checkstack(script, 4) || !bottom_frame(script, &ar)) return 0;
  lua_getinfo(script, "S", &ar);
  int place = *ar.what == 'C' ? find_handler(script, &ar) : 0;
  if (!place) return 0;
  if (lua_tocfunction(script, -1) == on_uncaught) {
    lua_pop(script, 1);
    return 0;
  }
  lua_pushlightuserdata(script, sched);
  lua_insert(script, -2);
  lua_pushcclosure(script, on_uncaught, 2);
  lua_setlocal(script, &ar, place);
  return 0;
}

/* ---- os.exit --------------------------------------------------------------------------------------------------- */

/* leave(): the script ends now and has reported why; the end of the state must not wait or report */
static int leave(lua_State *L) {
  sched_of(L)->leaving = true;
  return 0;
}

static void tell_leaving(lua_State *L, struct sched *sched) {
  sched->leaving = true;
  turn_take_replies(sched); /* their errors must be reported */
  if (lua_getfield(L, LUA_REGISTRYINDEX, "braid.leaving") != LUA_TFUNCTION || lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

/* Replaces os.exit. Upvalues: the scheduler, os.exit. */
static int exit_process(lua_State *L) {
  struct sched *sched = sched_of(L);
  if (!sched->leaving && !worker_is_thread(sched) && !braid_loop_is_fork) tell_leaving(L, sched);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Runs when the module is loaded, before user code is likely to have kept os.exit. */
static void replace_exit(lua_State *L) {
  if (lua_getglobal(L, LUA_OSLIBNAME) == LUA_TTABLE) {
    lua_pushlightuserdata(L, sched_open(L));
    lua_getfield(L, -2, "exit");
    lua_pushcclosure(L, exit_process, 2);
    lua_setfield(L, -2, "exit");
  }
  lua_pop(L, 1);
}

/* tell_dropped(): reports jobs that have not ended, which are dropped now */
static int tell_dropped(lua_State *L) {
  (void)L;
  if (!braid_loop_is_fork) braid_tally_tell();
  return 0;
}

static void end_interrupted(void) {
  enum { STATUS = 128 + SIGINT };
  fflush(NULL);
  _exit(STATUS);
}

/* exit_interrupted(): when the interpreter exits, the process exits with status 130, as after SIGINT */
static int exit_interrupted(lua_State *L) {
  (void)L;
  braid_thread_pin();
  atexit(end_interrupted);
  return 0;
}

/* ---- job counts of task pools --------------------------------------------------------------------------------- */

#define TALLY_METATABLE "braid.tally"

static struct braid_tally **check_tally(lua_State *L) { return larg_object(L, 1, TALLY_METATABLE); }

/* tally_new(kind, name) -> tally: counts the jobs that would be dropped if the process ended now */
static int tally_new(lua_State *L) {
  const char *kind = larg_string(L, 1, "kind", NULL), *name = luaL_optstring(L, 2, "");
  struct braid_tally **tally = lua_newuserdatauv(L, sizeof(struct braid_tally *), 0);
  *tally = NULL;
  luaL_setmetatable(L, TALLY_METATABLE);
  *tally = braid_tally_open(kind, name);
  return *tally ? 1 : luaL_error(L, "not enough memory");
}

static int tally_add(lua_State *L) {
  struct braid_tally *tally = *check_tally(L);
  if (tally) braid_tally_add(tally); /* NULL: the state is about to end */
  return 0;
}

static int tally_remove(lua_State *L) {
  struct braid_tally *tally = *check_tally(L);
  if (tally) braid_tally_remove(tally);
  return 0;
}

static int tally_gc(lua_State *L) {
  struct braid_tally **tally = lua_touserdata(L, 1);
  if (*tally) braid_tally_close(*tally);
  *tally = NULL;
  return 0;
}

static const luaL_Reg methods[] = {{"add", tally_add}, {"remove", tally_remove}, {"__gc", tally_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"watch_end", watch_end},       {"leave", leave},         {"exit_interrupted", exit_interrupted},
    {"tell_dropped", tell_dropped}, {"tally_new", tally_new}, {NULL, NULL}};

void lscript_open(lua_State *L) {
  sched_register(L, functions);
  sched_class(L, TALLY_METATABLE, methods);
  lua_pop(L, 1);
  replace_exit(L);
}
