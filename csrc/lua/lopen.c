/* SPDX-License-Identifier: MIT
 * luaopen_braid_core opens the C module. It makes the state's loop, which needs descriptors. It opens no socket, sets
 * no signal handler and starts no thread, with one exception: BRAID_DEBUG starts the watchdog's thread. */
#include "lua/base/lopen.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lfolder.h"
#include "lua/codec/lname.h"
#include "lua/sched/lsched.h"
#include "lua/base/lposition.h"
#include "lua/base/lregistry.h"
#include "lua/base/lrelease.h"
#include "lua/base/ltraceback.h"

/* set_home(prefix, moved): frames of files that begin with one of the two are braid's own. */
static int set_home(lua_State *L) {
  position_set_home(larg_string(L, 1, "prefix", NULL), larg_string(L, 2, "moved", NULL));
  return 0;
}

/* set_hook(name, fn): sets a function of the Lua layer that the C layer calls.
 *   "callback"   fn(function, future): runs a callback of a future
 *   "carry"      fn(value, to) -> what is sent instead of the value: see lcarry.h
 *   "forget"     fn(): an item is about to be received
 *   "unwrap"     fn(carrier) -> value: such a value was received
 *   "closing"    fn(count): that many tasks did not end when the state did
 *   "ending"     a script has come to its end
 *   "leaving"    before os.exit
 *   "forgotten"  fn(ok, error, place): a function has ended so and left scopes open
 *   "insists"    fn(place, task or nil): code that goes on after its cancel is stopped
 *   "report"     fn(error, traceback, name): a failure that nobody has asked for
 *   "scope_end"  fn(how, scope, seconds, ok, ...) -> results: the function that was called inside the scope has ended
 * so "uncaught"   fn(error, traceback) -> error: before an error ends the script */
static int set_hook(lua_State *L) {
  lua_pushfstring(L, "braid.%s", larg_string(L, 1, "name", NULL));
  larg_function(L, 2, "fn");
  lua_pushvalue(L, 2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return 0;
}

static const luaL_Reg functions[] = {{"set_home", set_home}, {"set_hook", set_hook}, {NULL, NULL}};

int braid_start(lua_State *L) {
  lrelease_check(L);
  lua_pushstring(L, folder_at_start());
  return 1;
}

/* ---- parts ---------------------------------------------------------------------------------------------------- */

typedef void open_function(lua_State *L);

/* What every state needs, also a worker's: it is opened with the module. */
static open_function *const first_parts[] = {llocals_open, llist_open,     lslice_open,     lcodec_open, lfailure_open,
                                             ltask_open,   lfuture_open,   lwrap_open,      lscope_open, lwithin_open,
                                             lstates_open, lwatchdog_open, lcoroutine_open, lturn_open,  lend_open,
                                             lscript_open, lshell_open,    lsample_open,    NULL};

/* The other parts. A group of them is opened when a name or a class is asked for that none before it has. */
static open_function *const sharing_parts[] = {
    lqueue_open,   lprimitives_open, lcounter_open,     ldict_open,
    larray_open,   lview_open,       lremotequeue_open, lremoteprimitives_open,
    lremote_open,  lselect_open,     lpool_open,        lworkerhandle_open,
    lmachine_open, lcarry_open,      lmethods_open,     NULL};
static open_function *const io_parts[] = {ljson_open,    lfd_open,        lsignal_open, lnet_open,      lprocess_open,
                                          lfetch_open,   ltarget_open,    ludp_open,    lresp_open,     ltls_open,
                                          lfile_open,    lcharset_open,   lsocket_open, lmessages_open, lserver_open,
                                          lwebfile_open, lsupervise_open, lcoding_open, lsqlite_open,   NULL};
static open_function *const other_parts[] = {lkernel_open,  lnumbers_open,    lworkloads_open,   lvectors_open,
                                             lmap_open,     lcompiled_open,   lkernelcache_open, llapack_open,
                                             lcsv_open,     lselection_open,  lgroup_open,       lmatrix_open,
                                             lmapping_open, lstorage_open,    lfreight_open,     lquestion_open,
                                             ltrace_open,   lsimulation_open, lholdings_open,    NULL};

static open_function *const *const groups[] = {sharing_parts, io_parts, other_parts};
enum { GROUPS = sizeof groups / sizeof *groups };

static void open_parts(lua_State *L, open_function *const *parts) {
  while (*parts) (*parts++)(L);
}

/* Moves the names of the table on the top of the stack to the module, which is below it. */
static void publish(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, -2);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

/* Opens the next group. Upvalues: the module, and how many groups are open. Returns whether there was one. When memory
 * is out the group is opened again at the next try. So the module gets its names when all of it is there: a function
 * could not make an object whose class is missing. */
static int open_more(lua_State *L) {
  lua_Integer count = lua_tointeger(L, lua_upvalueindex(2));
  lua_pushboolean(L, count < GROUPS);
  if (count == GROUPS) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_newtable(L);
  open_parts(L, groups[count]);
  publish(L);
  lname_outdate(L);
  lua_pop(L, 1);
  lua_pushinteger(L, count + 1);
  lua_replace(L, lua_upvalueindex(2));
  return 1;
}

/* The module has no such name yet. Upvalue: open_more. */
static int find(lua_State *L) {
  bool more = true;
  while (more) {
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_call(L, 0, 1);
    more = lua_toboolean(L, 3);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 1) != LUA_TNIL) return 1;
  }
  return 0;
}

/* The module is on the top of the stack. */
static void open_later(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -2);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, open_more, 2);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, LREGISTRY_MORE);
  lua_pushcclosure(L, find, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

static void open_first(lua_State *L) {
  enum { NAMES = 64 }; /* of the first parts */
  lua_createtable(L, 0, NAMES);
  sched_register(L, functions);
  traceback_open(L);
  open_parts(L, first_parts);
  lerror_metatable(L);
  lua_setfield(L, -2, "Error");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushstring(L, folder_at_start());
  lua_setfield(L, -2, "start_folder");
  lrelease_push(L);
  lua_setfield(L, -2, "lua_release");
  open_later(L);
}

/* A program may load the module anew, as busted does for each file. It gets the same one, because a state has one loop
 * and is registered once. */
int luaopen_braid_core(lua_State *L) {
  static const char KEY;
  lrelease_check(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &KEY) == LUA_TTABLE) return 1;
  open_first(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &KEY);
  return 1;
}
