/* SPDX-License-Identifier: MIT
 * Arrays that map files, for lua/braid/sync/mapping.lua. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lobject.h"
#include "lua/sched/lsched.h"
#include "lua/sync/larray.h"

/* Opens a regular file. -1: errno tells. */
static int open_file(const char *path, bool writable) {
  struct stat about;
  int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))) return fd;
  close(fd);
  errno = EINVAL;
  return -1;
}

/* array_map(path, type, offset, n, writable) -> an array of n elements that begins at this byte of the file; or nil,
 * err. May block for the file. */
static int array_map(lua_State *L) {
  const char *path = larg_string(L, 1, "path", NULL);
  enum braid_array_type type = larray_type(L, 2);
  size_t offset = (size_t)larg_integer(L, 3, "offset", 0), count = (size_t)larg_integer(L, 4, "n", 0);
  sched_check_fork(L);
  sched_open(L);
  lobject_box(L, &braid_array_class);
  int fd = open_file(path, lua_toboolean(L, 5));
  if (fd < 0 && (errno == EMFILE || errno == ENFILE)) { /* arrays that nobody uses any more may have some */
    lua_gc(L, LUA_GCCOLLECT);
    fd = open_file(path, lua_toboolean(L, 5));
  }
  if (fd < 0) return lerror_system(L, errno, path);
  struct braid_shm *segment = braid_shm_new_named(fd);
  if (!segment) {
    int error = errno;
    close(fd);
    return lerror_system(L, error, path);
  }
  struct braid_array *array = braid_array_adopt(type, count, segment, offset, NULL);
  if (!array) {
    int error = errno == EBADMSG ? ENODATA : errno;
    braid_shm_unref(segment);
    return lerror_system(L, error, path);
  }
  lobject_fill(L, &array->object);
  return 1;
}

void lmapping_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"array_map", array_map}, {NULL, NULL}};
  sched_register(L, functions);
}
