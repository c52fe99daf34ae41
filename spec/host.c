/* SPDX-License-Identifier: MIT
 * An interpreter with braid linked in: a sanitized .so does not load into the stock one. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

int luaopen_braid_core(lua_State *L);
__attribute__((weak)) int luaopen_braid_tls_core(lua_State *L);       /* not there without OpenSSL */
__attribute__((weak)) int luaopen_braid_websocket_core(lua_State *L); /* not there without wslay */
__attribute__((weak)) int luaopen_braid_sqlite_core(lua_State *L);    /* not there without SQLite */
__attribute__((weak)) int luaopen_braid_postgres_core(lua_State *L);  /* not there without libpq */
__attribute__((weak)) int luaopen_braid_cluster_core(lua_State *L);   /* not there without libnats */

#ifdef __SANITIZE_THREAD__
#include <pthread.h>
#include <setjmp.h>

/* TSan knows longjmp, by which its picture of the stack is kept right, but not this, which Lua was built with. */
_Noreturn void __longjmp_chk(jmp_buf buffer, int value);
_Noreturn void __longjmp_chk(jmp_buf buffer, int value) { longjmp(buffer, value); }

/* A loop that is told of a descriptor which it has closed, because a program that another thread is just starting holds
 * its file for a moment longer, tries to take it out of its poller by its number. That may be another thread's by now:
 * the system then says that it is not in this poller, and the loop makes its poller anew. TSan sees two threads use one
 * descriptor; but nothing is done to it, and the function touches no memory that is shared. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) { return "race:braid_poller_set\n"; }

static void *nothing(void *argument) { return argument; }

/* Its own thread begins with the first of ours: here, before a test counts threads. */
__attribute__((constructor)) static void begin_its_thread(void) {
  pthread_t thread;
  if (!pthread_create(&thread, NULL, nothing, NULL)) pthread_join(thread, NULL);
}
#endif

/* FILE, or -e CODE, as the stock interpreter takes them; -E, which would leave out what it does not know, first. */
static int load(lua_State *L, char **argv, int *first) {
  *first = 2;
  if (strcmp(argv[1], "-E") == 0 && argv[2] && argv[3]) {
    *first = 4;
    return luaL_loadbuffer(L, argv[3], strlen(argv[3]), "=(command line)");
  }
  if (strcmp(argv[1], "-e") != 0 || !argv[2]) return luaL_loadfile(L, argv[1]);
  *first = 3;
  return luaL_loadbuffer(L, argv[2], strlen(argv[2]), "=(command line)");
}

/* As in the stock interpreter the script runs inside a C function, under a message handler. Returns whether it ended
 * well. */
static int run(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1), first;
  char **argv = lua_touserdata(L, 2);
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_braid_core);
  lua_setfield(L, -2, "braid.core");
  if (luaopen_braid_tls_core) {
    lua_pushcfunction(L, luaopen_braid_tls_core);
    lua_setfield(L, -2, "braid.tls_core");
  }
  if (luaopen_braid_websocket_core) {
    lua_pushcfunction(L, luaopen_braid_websocket_core);
    lua_setfield(L, -2, "braid.websocket_core");
  }
  if (luaopen_braid_postgres_core) {
    lua_pushcfunction(L, luaopen_braid_postgres_core);
    lua_setfield(L, -2, "braid.postgres_core");
  }
  if (luaopen_braid_sqlite_core) {
    lua_pushcfunction(L, luaopen_braid_sqlite_core);
    lua_setfield(L, -2, "braid.sqlite_core");
  }
  if (luaopen_braid_cluster_core) {
    lua_pushcfunction(L, luaopen_braid_cluster_core);
    lua_setfield(L, -2, "braid.cluster_core");
  }
  bool both = strcmp(argv[1], "-e") == 0 && argc > 3; /* -e CODE SCRIPT */
  lua_newtable(L);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - (both ? 3 : 1));
  }
  lua_setglobal(L, "arg");
  lua_getglobal(L, "debug");
  lua_getfield(L, -1, "traceback");
  int handler = lua_gettop(L), status = load(L, argv, &first);
  if (both && status == LUA_OK && (status = lua_pcall(L, 0, 0, handler)) == LUA_OK) {
    status = luaL_loadfile(L, argv[3]);
    first = 4;
  }
  for (int i = first; i < argc && status == LUA_OK; i++) lua_pushstring(L, argv[i]);
  if (status == LUA_OK) status = lua_pcall(L, argc - first, 0, handler);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK) return 1;
  lua_writestringerror("%s: ", argv[0]);
  lua_writestringerror("%s\n", luaL_tolstring(L, -2, NULL));
  lua_pushboolean(L, 0);
  return 1;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (!L || argc < 2) return 2;
  lua_pushcfunction(L, run);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  bool well = lua_pcall(L, 2, 1, 0) == LUA_OK && lua_toboolean(L, -1);
  lua_close(L);
  return well ? 0 : 1;
}
