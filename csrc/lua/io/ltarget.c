/* SPDX-License-Identifier: MIT
 * The place that a download is saved to. For lua/braid/http/download.lua. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

static int push_problem(lua_State *L, const char *path, int error) {
  return lerror_system(L, error, lua_pushfstring(L, "%s", path));
}

/* To open a FIFO that nobody reads would block. Returns 0 or an error number. */
static int check_fifo(const char *path) {
  int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

/* file_target(path) -> path, mode: a regular file, after symbolic links, and its permissions
 * | path, nil: there is no file | path, false: it is no regular file, and is to be written in place | nil, err.
 * Does not suspend. */
static int target(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char resolved[PATH_MAX];
  struct stat facts, link;
  lua_settop(L, 1);
  if (stat(path, &facts) != 0) {
    if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode)) /* it leads to no file yet */
      lua_pushboolean(L, false);
    else
      lua_pushnil(L);
    return 2;
  }
  if (S_ISDIR(facts.st_mode)) return push_problem(L, path, EISDIR);
  if (S_ISREG(facts.st_mode)) {
    if (!realpath(path, resolved)) return push_problem(L, path, errno);
    lua_pushstring(L, resolved);
    lua_pushinteger(L, facts.st_mode & 07777);
    return 2;
  }
  int error = S_ISFIFO(facts.st_mode) ? check_fifo(path) : 0;
  if (error) return push_problem(L, path, error);
  lua_pushboolean(L, false);
  return 2;
}

/* file_mode(path, mode) -> true | nil, err: sets the permissions. Does not suspend. */
static int set_mode(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  mode_t mode = (mode_t)larg_between(L, 2, "mode", 0, 07777);
  if (chmod(path, mode) != 0) return push_problem(L, path, errno);
  lua_pushboolean(L, true);
  return 1;
}

void ltarget_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"file_target", target}, {"file_mode", set_mode}, {NULL, NULL}};
  sched_register(L, functions);
}
