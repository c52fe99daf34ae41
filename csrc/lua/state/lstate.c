/* SPDX-License-Identifier: MIT
 * Replaces functions of Lua's libraries that are not safe with threads: loading a C module (its luaopen may use global
 * state of the process), exit, and the separate writes of print. lshell.c replaces io.popen and os.execute. */
#include "lua/state/lstate.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/base/loading.h"
#include "core/process/worker_process.h"
#include "lua/sched/lcopy.h"
#include "lua/base/lerror.h"
#include "lua/sched/lsched.h"
#include "lua/state/lstdin.h"

/* ---- memory --------------------------------------------------------------------------------------------------- */

static void *allocate(void *user, void *block, size_t before, size_t after) {
  struct lstate_memory *memory = user;
  if (!block) before = 0; /* then it is the kind of the new object */
  if (after == 0) {
    free(block);
    memory->used -= before;
    return NULL;
  }
  if (memory->limit && after > before && memory->used + (after - before) > memory->limit) {
    memory->exceeded = true;
    return NULL;
  }
  void *moved = realloc(block, after);
  if (moved) memory->used = memory->used - before + after;
  if (memory->used > memory->peak) memory->peak = memory->used;
  return moved;
}

lua_State *lstate_new(struct lstate_memory *memory) {
  *memory = (struct lstate_memory){0};
  lua_State *L = lua_newstate(allocate, memory);
  if (L) memset(lua_getextraspace(L), 0, LUA_EXTRASPACE); /* it is the host's, which has not made this state */
  return L;
}

/* ---- loading C modules ---------------------------------------------------------------------------------------- */

/* Waits until this thread may load. Raises when its job must end. */
static void await_turn(lua_State *L) {
  struct sched *sched = sched_open(L);
  while (!braid_loading_begin(braid_clock_after(0.02))) {
    sched_look_for_stops(sched);
    sched_enter(L, sched);
  }
}

/* Calls upvalue 1 when this thread may load. A C function that it returns is a loader, and is wrapped in the same
 * way. */
static int in_turn(lua_State *L) {
  await_turn(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  braid_loading_end();
  if (status != LUA_OK) return lua_error(L);
  if (lua_iscfunction(L, 1)) {
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, in_turn, 1);
    lua_replace(L, 1);
  }
  return lua_gettop(L);
}

/* Calls the other searchers once more. Upvalue 1 has all searchers; the last one is explain_shortage. */
static int search_again(lua_State *L) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, lua_upvalueindex(1));
  for (lua_Integer i = 1; i < count; i++) {
    lua_rawgeti(L, lua_upvalueindex(1), i);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 2);
    if (lua_isfunction(L, -2)) return 2;
    lua_pop(L, 2);
  }
  return 0;
}

static int raise_shortage(lua_State *L, int error) {
  return lerror_raise_system(L, error, lua_pushfstring(L, "module '%s' cannot be looked for", luaL_checkstring(L, 1)));
}

/* Whether package.path or package.cpath leads to a file of the module. Needs no descriptor. */
static bool has_file(lua_State *L, const char *field) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, field);
  const char *path = lua_tostring(L, -1), *name = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  bool found = false;
  while (path && *path && !found) {
    size_t size = strcspn(path, ";");
    lua_pushlstring(L, path, size);
    found = access(luaL_gsub(L, lua_tostring(L, -1), "?", name), R_OK) == 0;
    lua_pop(L, 2);
    path += size + (path[size] == ';');
  }
  lua_pop(L, 3);
  return found;
}

/* The last searcher. The others do not tell whether a file does not exist, or cannot be opened for want of descriptors.
 * If a descriptor is free now, another thread may have closed one; then the others may find the file. If they do not,
 * but the file exists, yet another thread has taken that descriptor. */
static int explain_shortage(lua_State *L) {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  if (fd < 0 && !braid_limit_raised()) return raise_shortage(L, errno);
  int found = search_again(L);
  return found == 0 && (has_file(L, "path") || has_file(L, "cpath")) ? raise_shortage(L, EMFILE) : found;
}

/* The searcher of Lua files, which is upvalue 1. It raises an error if another thread takes the last descriptor after
 * it has found the file. That is a shortage, and no fault of the module. */
static int search_files(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushvalue(L, 2);
  lua_insert(L, 1);
  if (lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0) == LUA_OK) return lua_gettop(L) - 1;
  const char *text = lua_tostring(L, -1);
  if (text && strstr(text, strerror(EMFILE))) return raise_shortage(L, EMFILE);
  if (text && strstr(text, strerror(ENFILE))) return raise_shortage(L, ENFILE);
  return lua_error(L);
}

static void wrap_searcher(lua_State *L, int place, lua_CFunction wrapper) {
  lua_rawgeti(L, -1, place);
  lua_pushcclosure(L, wrapper, 1);
  lua_rawseti(L, -2, place);
}

static void guard_loaders(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  enum { LUA_FILES = 2, C_LIBRARIES, PARTS_OF_C_LIBRARIES }; /* Lua's own searchers */
  wrap_searcher(L, LUA_FILES, search_files);
  wrap_searcher(L, C_LIBRARIES, in_turn);
  wrap_searcher(L, PARTS_OF_C_LIBRARIES, in_turn);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, explain_shortage, 1);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  lua_getfield(L, -1, "loadlib");
  lua_pushcclosure(L, in_turn, 1);
  lua_setfield(L, -2, "loadlib");
  lua_pop(L, 1);
}

/* ---- io, os, print -------------------------------------------------------------------------------------------- */

static int os_exit(lua_State *L) {
  if (braid_loop_is_fork) lcopy_end(lcopy_exit_status(L));
  return lerror_raise(L, "worker_died", "os.exit(%s) in a job: it ends the job, not the process",
                      lua_isnoneornil(L, 1) ? "" : lerror_text(L, 1));
}

static int print_line(lua_State *L) {
  int count = lua_gettop(L);
  luaL_Buffer line;
  lua_settop(L, count);
  for (int i = 1; i <= count; i++) { /* first everything that may raise or run Lua */
    luaL_tolstring(L, i, NULL);
    lua_replace(L, i);
  }
  luaL_buffinit(L, &line);
  for (int i = 1; i <= count; i++) {
    if (i > 1) luaL_addchar(&line, '\t');
    lua_pushvalue(L, i);
    luaL_addvalue(&line);
  }
  luaL_addchar(&line, '\n');
  luaL_pushresult(&line);
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  fwrite(text, 1, size, stdout);
  fflush(stdout);
  return 0;
}

static void replace(lua_State *L, const char *library, const char *name, lua_CFunction function) {
  lua_getglobal(L, library);
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void lstate_furnish(lua_State *L) {
  luaL_openlibs(L);
  guard_loaders(L);
  lstdin_furnish(L);
  replace(L, "os", "exit", os_exit);
  replace(L, LUA_GNAME, "print", print_line);
}

static int exit_process(lua_State *L) { braid_worker_process_end(lcopy_exit_status(L)); }

void lstate_free_exit(lua_State *L) { replace(L, "os", "exit", exit_process); }
