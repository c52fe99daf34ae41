/* SPDX-License-Identifier: MIT
 * fork, for spec/regress/fork_spec.lua: what a library of somebody else's may do. */
#include <lauxlib.h>
#include <sys/wait.h>
#include <unistd.h>

int luaopen_forker(lua_State *L);

/* fork() -> the child's pid; 0 in the child */
static int lua_fork(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

/* wait(pid) -> its exit status, or 128 and the number of the signal that ended it */
static int lua_wait(lua_State *L) {
  int status = -1;
  waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}

int luaopen_forker(lua_State *L) {
  static const luaL_Reg functions[] = {{"fork", lua_fork}, {"wait", lua_wait}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
