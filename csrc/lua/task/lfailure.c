/* SPDX-License-Identifier: MIT
 * A scope has a failure table. It holds its failed linked tasks by number: their failure is the scope's in any case.
 * Failures of other tasks ("loose") are keys of a weak table in it. Such a failure is not kept alive by the table. When
 * it is collected, its finalizer moves it into the failure table itself, or only counts it if MOST_LOST are there. So
 * what a scope raises does not depend on the garbage collector. */
#include "lua/task/lfailure.h"

#include <errno.h>
#include <lauxlib.h>

#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/base/lregistry.h"
#include "lua/sched/ltaskname.h"
#include "lua/base/ltraceback.h"

#define FAILURE_METATABLE "braid.failure"

enum { MOST_LOST = 10 };

/* More fields of a failure: the failure table in which it is, the name of its task, and its fate. The fate is nil while
 * the failure is still to be reported when it is collected. */
enum { TABLE = FAILURE_PLACE + 1, NAME, FATE };
enum { TAKEN = 1, SEEN }; /* TAKEN: by the end of its scope. SEEN: it was reported, or somebody asked for it */

/* Registry keys, by address. */
static const char TABLES;  /* scope -> { number -> linked task, or failure; loose = { failure -> number }; last: number;
                            * lost = { numbers of failures whose future is gone }; more: how many of these besides } */
static const char REPORTS; /* failure, weakly -> its number: those whose end is to be reported, or has been */
static const char PLACES;  /* coroutine -> place of the error that ended it */

/* ---- making them ---------------------------------------------------------------------------------------------- */

static bool is_cancel(lua_State *L, int index) {
  return lerror_is(L, index, "cancelled") || lerror_is(L, index, "interrupted");
}

bool failure_is_echo(lua_State *L, const struct sched *sched, int index) {
  return is_cancel(L, index) && tree_canceller(&sched->tree, sched->current);
}

int failure_handler(lua_State *L) {
  lregistry_table(L, &PLACES, NULL);
  if (failure_is_echo(L, sched_open(L), 1))
    lua_pushnil(L); /* nobody has to repair this error */
  else
    traceback_take(L, L, 1);
  lua_rawsetp(L, -2, L);
  lua_settop(L, 1);
  return 1;
}

void failure_place(lua_State *L, const lua_State *co) {
  lregistry_table(L, &PLACES, NULL);
  lua_rawgetp(L, -1, co);
  lua_pushnil(L);
  lua_rawsetp(L, -3, co);
  lua_remove(L, -2);
}

void failure_make(lua_State *L) {
  lua_createtable(L, NAME, 0);
  lua_insert(L, -3);
  lua_rawseti(L, -3, FAILURE_PLACE);
  lua_rawseti(L, -2, FAILURE_ERROR);
}

/* ---- the failure table ---------------------------------------------------------------------------------------- */

/* Pushes the scope's failure table; makes it first if there is none. */
static void push_table(lua_State *L, struct scope *scope) {
  lregistry_table(L, &TABLES, NULL);
  if (lua_rawgetp(L, -1, scope) == LUA_TTABLE) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lua_newtable(L);
  lua_newtable(L); /* loose */
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "loose");
  lua_newtable(L);
  lua_setfield(L, -2, "lost");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, scope);
  lua_remove(L, -2);
  scope->flags |= SCOPE_FAILED;
}

static lua_Integer count_field(lua_State *L, int table, const char *name, lua_Integer more) {
  lua_getfield(L, table, name);
  lua_Integer count = lua_tointeger(L, -1) + more;
  lua_pop(L, 1);
  lua_pushinteger(L, count);
  lua_setfield(L, table, name);
  return count;
}

/* Enters the failed task at 1, with the failure at 2, into the table of its scope. */
static void enter_table(lua_State *L, const struct task *task) {
  push_table(L, task->nursery);
  int table = lua_gettop(L);
  lua_Integer number = count_field(L, table, "last", 1);
  if (task->waiter.flags & TASK_LINKED) {
    lua_pushvalue(L, 1);
    lua_rawseti(L, table, number);
  } else {
    lua_pushvalue(L, table);
    lua_rawseti(L, 2, TABLE);
    lua_getfield(L, table, "loose");
    lua_pushvalue(L, 2);
    lua_pushinteger(L, number);
    lua_rawset(L, -3);
  }
  lua_settop(L, 2);
}

/* Pushes the failure of the future at 1. If there was no memory to keep it, makes one that says so. */
static void push_failure(lua_State *L) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_pushliteral(L, LERROR_NO_MEMORY);
  lua_pushnil(L);
  failure_make(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
}

int failure_record(lua_State *L) {
  struct future *future = lua_touserdata(L, 1);
  bool is_task = future->waiter.kind == BRAID_WAITER_TASK && !(future->waiter.flags & TASK_APART);
  bool linked = future->waiter.flags & TASK_LINKED;
  lua_settop(L, 1);
  push_failure(L);
  if (is_task && (linked || !(future->waiter.flags & TASK_ASKED)))
    enter_table(L, braid_container(future, struct task, future));
  if (linked || (future->waiter.flags & TASK_ASKED)) return 0;
  taskname_push(L, 1);
  lua_rawseti(L, 2, NAME);
  luaL_setmetatable(L, FAILURE_METATABLE);
  lregistry_table(L, &REPORTS, "k");
  lua_pushvalue(L, 2);
  lua_pushinteger(L, count_field(L, 3, "last", 1));
  lua_rawset(L, 3);
  return 0;
}

/* Takes the failure at `index` out of the loose ones of its failure table, and pushes that table; nil if there is none.
 * Returns its number; 0 if it is not there. */
static lua_Integer leave_table(lua_State *L, int index) {
  if (lua_rawgeti(L, index, TABLE) != LUA_TTABLE) return 0;
  lua_getfield(L, -1, "loose");
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_Integer number = lua_tointeger(L, -1);
  lua_pushvalue(L, index);
  lua_pushnil(L);
  lua_rawset(L, -4);
  lua_pop(L, 2);
  return number;
}

static lua_Integer fate_of(lua_State *L, int index) {
  lua_rawgeti(L, index, FATE);
  lua_Integer fate = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return fate;
}

static void set_fate(lua_State *L, int index, lua_Integer fate) {
  lua_pushinteger(L, fate);
  lua_rawseti(L, index, FATE);
}

void failure_ask(lua_State *L, int index) {
  struct future *future = lua_touserdata(L, index);
  if (future->waiter.flags & TASK_ASKED) return;
  future->waiter.flags |= TASK_ASKED;
  if (future->waiter.state != FUTURE_FAILED || lua_getiuservalue(L, index, 1) != LUA_TTABLE) return;
  set_fate(L, lua_gettop(L), SEEN);
  leave_table(L, lua_gettop(L));
  lua_pop(L, 2);
}

/* Stack: 1 the failure table. Pushes the list of its failures in the order of their numbers. */
static int push_list(lua_State *L) {
  lua_Integer last = count_field(L, 1, "last", 0), count = 0;
  lua_getfield(L, 1, "loose");
  for (lua_pushnil(L); lua_next(L, 2);) { /* moves the loose ones to their numbers */
    lua_pushvalue(L, -2);
    lua_rawseti(L, 1, lua_tointeger(L, -2));
    lua_pop(L, 1);
  }
  lua_newtable(L);
  for (lua_Integer i = 1; i <= last; i++) {
    int type = lua_rawgeti(L, 1, i);
    if (type == LUA_TTABLE && fate_of(L, 4) == 0) set_fate(L, 4, TAKEN);
    if (type == LUA_TNIL)
      lua_pop(L, 1);
    else
      lua_rawseti(L, 3, ++count);
  }
  lua_getfield(L, 1, "more");
  lua_setfield(L, 3, "more");
  return 1;
}

void failure_take(lua_State *L, struct scope *scope) {
  if (!(scope->flags & SCOPE_FAILED)) {
    lua_pushnil(L);
    return;
  }
  lua_pushcfunction(L, push_list);
  push_table(L, scope);
  scope->flags &= ~(unsigned)SCOPE_FAILED;
  lregistry_table(L, &TABLES, NULL);
  lua_pushnil(L);
  lua_rawsetp(L, -2, scope);
  lua_pop(L, 1);
  lua_call(L, 1, 1);
}

bool failure_counts(lua_State *L, struct scope *scope) {
  if (!(scope->flags & SCOPE_FAILED)) return false;
  push_table(L, scope);
  int table = lua_gettop(L);
  lua_Integer last = count_field(L, table, "last", 0);
  bool counts = count_field(L, table, "more", 0) > 0;
  for (lua_Integer i = 1; i <= last && !counts; i++) {
    counts = lua_rawgeti(L, table, i) != LUA_TNIL;
    lua_pop(L, 1);
  }
  lua_getfield(L, table, "loose");
  lua_pushnil(L);
  counts = lua_next(L, table + 1) || counts;
  lua_settop(L, table - 1);
  return counts;
}

/* ---- as Lua has them ------------------------------------------------------------------------------------------ */

static int failure_error(lua_State *L) {
  lua_rawgeti(L, 1, FAILURE_ERROR);
  return 1;
}

static int failure_traceback(lua_State *L) {
  lua_rawgeti(L, 1, FAILURE_PLACE);
  return 1;
}

/* Only tasks can be linked, and a failure has none. */
static int failure_linked(lua_State *L) {
  lua_pushboolean(L, 0);
  return 1;
}

/* failure:_report(): reports it, unless it was reported or somebody has asked for it. */
static int failure_report(lua_State *L) {
  lua_settop(L, 1);
  if (fate_of(L, 1) == SEEN) return 0;
  set_fate(L, 1, SEEN);
  if (!lregistry_hook(L, "report")) return 0;
  lua_rawgeti(L, 1, FAILURE_ERROR);
  lua_rawgeti(L, 1, FAILURE_PLACE);
  lua_rawgeti(L, 1, NAME);
  lua_call(L, 3, 0);
  return 0;
}

/* Stack: 1 the failure, 2 its failure table, 3 the numbers of its lost failures. Drops the last of these if `number`
 * comes before it, and enters `number` instead. Returns false if `number` comes last itself. */
static bool displace(lua_State *L, lua_Integer number) {
  lua_Integer last = number, place = 0;
  for (int i = 1; i <= MOST_LOST; i++) {
    lua_rawgeti(L, 3, i);
    if (lua_tointeger(L, -1) > last) last = lua_tointeger(L, -1), place = i;
    lua_pop(L, 1);
  }
  if (place == 0) return false;
  lua_pushnil(L);
  lua_rawseti(L, 2, last);
  lua_pushinteger(L, number);
  lua_rawseti(L, 3, place);
  return true;
}

/* Stack: 1 the failure, 2 its failure table. Keeps the failure there if it is one of the first MOST_LOST. */
static void leave_to_table(lua_State *L, lua_Integer number, bool echo) {
  lua_getfield(L, 2, "lost");
  lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
  if (count < MOST_LOST) {
    lua_pushinteger(L, number);
    lua_rawseti(L, 3, count + 1);
  } else {
    if (!echo) count_field(L, 2, "more", 1);
    if (!displace(L, number)) return;
  }
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, number);
}

/* The future was collected: nobody can ask for the failure any more. The possible echo of a cancel is left to the end
 * of its scope, which reports it if it is none. */
static int failure_gc(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_settop(L, 1);
  if (fate_of(L, 1) != 0) return 0;
  lua_rawgeti(L, 1, FAILURE_ERROR);
  bool echo = is_cancel(L, 2);
  lua_settop(L, 1);
  lua_Integer number = leave_table(L, 1);
  if (number) leave_to_table(L, number, echo);
  if (number && echo) return 0;
  lua_settop(L, 1);
  struct sched_frame frame = sched_callbacks(sched); /* a finalizer can run anywhere: it must not wait */
  lua_pushcfunction(L, failure_report);
  lua_insert(L, 1);
  int status = lua_pcall(L, 1, 0, 0);
  sched_return(sched, frame);
  return status == LUA_OK ? 0 : lua_error(L);
}

/* Pushes the list of the failures that may have to be reported, in their order, with holes. Returns its length. */
static lua_Integer push_reports(lua_State *L) {
  lregistry_table(L, &REPORTS, "k");
  int reports = lua_gettop(L);
  lua_Integer last = count_field(L, reports, "last", 0);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, reports);) {
    lua_pushvalue(L, -2);
    if (lua_istable(L, -1))
      lua_rawseti(L, reports + 1, lua_tointeger(L, -2));
    else
      lua_pop(L, 1);
    lua_pop(L, 1);
  }
  lua_remove(L, reports);
  return last;
}

/* Whether the failure on the top may be the echo of a cancel; then the end of its scope decides. */
static bool may_be_echo(lua_State *L) {
  bool in_table = lua_rawgeti(L, -1, TABLE) == LUA_TTABLE;
  lua_rawgeti(L, -2, FAILURE_ERROR);
  bool echo = in_table && is_cancel(L, -1);
  lua_pop(L, 2);
  return echo;
}

/* Argument: a linked task that has failed. */
static int report_linked(lua_State *L) {
  const struct future *future = lua_touserdata(L, 1);
  if ((future->waiter.flags & TASK_ASKED) || lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return 0;
  lua_rawgeti(L, 2, FAILURE_ERROR);
  if (is_cancel(L, 3) || !lregistry_hook(L, "report")) return 0;
  lua_insert(L, 3);
  lua_rawgeti(L, 2, FAILURE_PLACE);
  taskname_push(L, 1);
  lua_call(L, 3, 0);
  return 0;
}

/* Pushes the list of the failed linked tasks of scopes that have not ended, and takes them out of their tables. */
static lua_Integer take_linked(lua_State *L) {
  lua_Integer count = 0;
  lua_newtable(L);
  int list = lua_gettop(L);
  lregistry_table(L, &TABLES, NULL);
  for (lua_pushnil(L); lua_next(L, list + 1); lua_settop(L, list + 2)) {
    lua_Integer last = count_field(L, list + 3, "last", 0);
    for (lua_Integer i = 1; i <= last; i++) {
      if (lua_rawgeti(L, list + 3, i) == LUA_TUSERDATA) {
        lua_rawseti(L, list, ++count);
        lua_pushnil(L);
        lua_rawseti(L, list + 3, i);
      } else {
        lua_pop(L, 1);
      }
    }
  }
  lua_settop(L, list);
  return count;
}

static void report_all_linked(lua_State *L) {
  lua_Integer count = take_linked(L);
  int list = lua_gettop(L);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_pushcfunction(L, report_linked);
    lua_rawgeti(L, list, i);
    lua_pcall(L, 1, 0, 0);
    lua_settop(L, list);
  }
  lua_pop(L, 1);
}

/* report_failures(): called at the end of the state or of the process. Nobody will ask for a failure any more, and no
 * scope will raise one. */
static int report_failures(lua_State *L) {
  lua_settop(L, 0);
  report_all_linked(L);
  lua_Integer last = push_reports(L);
  for (lua_Integer i = 1; i <= last; i++) {
    if (lua_rawgeti(L, 1, i) == LUA_TTABLE && fate_of(L, 2) == 0 && !may_be_echo(L)) {
      lua_pushcfunction(L, failure_report);
      lua_insert(L, 2);
      lua_pcall(L, 1, 0, 0);
    }
    lua_settop(L, 1);
  }
  return 0;
}

/* no_memory() -> the error for Lua's own "not enough memory" */
static int no_memory(lua_State *L) {
  lerror_system(L, ENOMEM, LERROR_NO_MEMORY);
  return 1;
}

static const luaL_Reg functions[] = {{"report_failures", report_failures}, {"no_memory", no_memory}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"error", failure_error},    {"traceback", failure_traceback},
    {"_linked", failure_linked}, {"_report", failure_report},
    {"__gc", failure_gc},        {NULL, NULL},
};

void lfailure_open(lua_State *L) {
  sched_register(L, functions);
  sched_class(L, FAILURE_METATABLE, methods);
  lua_pop(L, 1);
}
