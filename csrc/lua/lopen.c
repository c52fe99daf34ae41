/* SPDX-License-Identifier: MIT
 * luaopen_braid_core opens the C module. It makes the state's loop, which needs descriptors. It opens no socket, sets
 * no signal handler and starts no thread, with one exception: BRAID_DEBUG starts the watchdog's thread. */
#include "lua/base/lopen.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lfolder.h"
#include "lua/sched/lsched.h"
#include "lua/base/lposition.h"
#include "lua/base/lrelease.h"
#include "lua/base/ltraceback.h"

/* set_home(prefix, moved): frames of files that begin with one of the two are braid's own. */
static int set_home(lua_State *L) {
  position_set_home(larg_string(L, 1, "prefix", NULL), larg_string(L, 2, "moved", NULL));
  return 0;
}

/* set_hook(name, fn): sets a function of the Lua layer that the C layer calls.
 *   "callback"   fn(function, future): runs a callback of a future
 *   "carry"      fn(value, queue or nil) -> what is sent instead of the value: see lcarry.h
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

int luaopen_braid_core(lua_State *L) {
  static void (*const parts[])(lua_State *) = {
      llocals_open,    llist_open,     ljson_open,        lcodec_open,       lfailure_open,
      ltask_open,      lfuture_open,   lwrap_open,        lscope_open,       lqueue_open,
      lstates_open,    lquestion_open, ltrace_open,       lwatchdog_open,    lprimitives_open,
      lcounter_open,   ldict_open,     larray_open,       lremotequeue_open, lremoteprimitives_open,
      lremote_open,    lselect_open,   lcoroutine_open,   lpool_open,        lworkerhandle_open,
      lturn_open,      lend_open,      lscript_open,      lkernel_open,      lnumbers_open,
      lworkloads_open, lvectors_open,  lmap_open,         lfd_open,          lsignal_open,
      lnet_open,       lprocess_open,  lshell_open,       lfetch_open,       lmachine_open,
      ltarget_open,    ludp_open,      lresp_open,        ltls_open,         lfile_open,
      lcharset_open,   lsocket_open,   lsimulation_open,  lholdings_open,    lview_open,
      lmapping_open,   lcompiled_open, lkernelcache_open, llapack_open,      lmessages_open,
      lserver_open,    lwebfile_open,  lsupervise_open,   lsqlite_open,      lselection_open,
      lgroup_open,     lmatrix_open,   lstorage_open,     lwithin_open,      lcoding_open,
      lcarry_open,     lfreight_open,
  };
  lrelease_check(L);
  lua_newtable(L);
  sched_register(L, functions);
  traceback_open(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) parts[i](L);
  luaL_newmetatable(L, LERROR_METATABLE);
  lua_setfield(L, -2, "Error");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushstring(L, folder_at_start());
  lua_setfield(L, -2, "start_folder");
  lrelease_push(L);
  lua_setfield(L, -2, "lua_release");
  return 1;
}
