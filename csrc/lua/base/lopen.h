/* SPDX-License-Identifier: MIT
 * The parts of the C module. Each function adds its part to the table on the top of the stack. */
#ifndef BRAID_LOPEN_H
#define BRAID_LOPEN_H

#include <lua.h>

/* lua/braid/search.lua calls it before it opens the module. Raises if this Lua is too old. Returns the current folder
 * of the process; nil if the system does not tell it. */
__attribute__((visibility("default"))) int braid_start(lua_State *L);

/* Makes this process a worker, until it ends. Also the module's function `work`. */
__attribute__((visibility("default"))) int braid_work(lua_State *L);

/* The C module itself. */
__attribute__((visibility("default"))) int luaopen_braid_core(lua_State *L);

void llocals_open(lua_State *L);
void lcarry_open(lua_State *L);
void lcodec_open(lua_State *L);
void lfreight_open(lua_State *L);
void lfailure_open(lua_State *L);
void ltask_open(lua_State *L);
void llist_open(lua_State *L);
void lslice_open(lua_State *L);
void ljson_open(lua_State *L);
void lresp_open(lua_State *L);
void lsqlite_open(lua_State *L);
void lfuture_open(lua_State *L);
void lwrap_open(lua_State *L);
void lscope_open(lua_State *L);
void lwithin_open(lua_State *L);
void lqueue_open(lua_State *L);
void lprimitives_open(lua_State *L);
void lcounter_open(lua_State *L);
void ldict_open(lua_State *L);
void larray_open(lua_State *L);
void lview_open(lua_State *L);
void lmapping_open(lua_State *L);
void lcompiled_open(lua_State *L);
void lkernelcache_open(lua_State *L);
void llapack_open(lua_State *L);
void lcsv_open(lua_State *L);
void lselection_open(lua_State *L);
void lgroup_open(lua_State *L);
void lmatrix_open(lua_State *L);
void lstorage_open(lua_State *L);
void lremotequeue_open(lua_State *L);
void lremoteprimitives_open(lua_State *L);
void lremote_open(lua_State *L);
void lselect_open(lua_State *L);
void lmethods_open(lua_State *L);
void lcoroutine_open(lua_State *L);
void lpool_open(lua_State *L);
void lworkerhandle_open(lua_State *L);
void lturn_open(lua_State *L);
void lend_open(lua_State *L);
void lscript_open(lua_State *L);
void lsimulation_open(lua_State *L);
void lholdings_open(lua_State *L);
void lkernel_open(lua_State *L);
void lnumbers_open(lua_State *L);
void lworkloads_open(lua_State *L);
void lvectors_open(lua_State *L);
void lmap_open(lua_State *L);
void lfd_open(lua_State *L);
void lnet_open(lua_State *L);
void ltls_open(lua_State *L);
void ludp_open(lua_State *L);
void lfile_open(lua_State *L);
void lsocket_open(lua_State *L);
void lsignal_open(lua_State *L);
void lprocess_open(lua_State *L);
void lshell_open(lua_State *L);
void lfetch_open(lua_State *L);
void lcharset_open(lua_State *L);
void lmessages_open(lua_State *L);
void ltarget_open(lua_State *L);
void lstates_open(lua_State *L);
void lsample_open(lua_State *L);
void lquestion_open(lua_State *L);
void ltrace_open(lua_State *L);
void lwatchdog_open(lua_State *L);
void lmachine_open(lua_State *L);
void lserver_open(lua_State *L);
void lwebfile_open(lua_State *L);
void lcoding_open(lua_State *L);
void lsupervise_open(lua_State *L);

#endif
