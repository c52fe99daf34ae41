/* SPDX-License-Identifier: MIT
 * See the header. */
#include "lua/web/lwebfile.h"

#include <errno.h>
#include <lauxlib.h>
#include <unistd.h>

#include "core/web/static_file.h"
#include "core/web/target.h"
#include "lua/base/larg.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

#define METATABLE "braid.web_file"

struct file {
  int fd; /* -1: closed, or used by an answer */
};

int *lwebfile_check(lua_State *L, int index) { return &((struct file *)larg_object(L, index, METATABLE))->fd; }

static const char *word_for(int error) {
  if (error == EISDIR) return "folder";
  return error == EMFILE || error == ENFILE || error == ENOMEM ? "shortage" : "missing";
}

/* web_file(root, path) -> file, size, seconds and nanoseconds of the last change; or nil, "missing", "folder", or
 * "shortage" (of descriptors or memory) */
static int web_file(lua_State *L) {
  const char *root = larg_string(L, 1, "root", NULL), *path = larg_string(L, 2, "path", NULL);
  struct file *file = lua_newuserdatauv(L, sizeof *file, 0);
  file->fd = -1;
  luaL_setmetatable(L, METATABLE);
  struct braid_static_file static_file;
  int error = braid_static_file_open(root, path, &static_file);
  if (error) {
    lua_pushnil(L);
    lua_pushstring(L, word_for(error));
    return 2;
  }
  file->fd = static_file.fd;
  lua_pushinteger(L, (lua_Integer)static_file.size);
  lua_pushinteger(L, static_file.seconds);
  lua_pushinteger(L, static_file.nanoseconds);
  return 4;
}

/* file:read(offset, size) -> bytes, fewer at the end of the file; nothing when it cannot be read */
static int file_read(lua_State *L) {
  const int *fd = lwebfile_check(L, 1);
  lua_Integer offset = larg_integer(L, 2, "offset", 0), size = larg_integer(L, 3, "size", 0);
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, (size_t)size);
  ssize_t count = pread(*fd, room, (size_t)size, (off_t)offset);
  if (count < 0) return 0;
  luaL_pushresultsize(&buffer, (size_t)count);
  return 1;
}

static int file_close(lua_State *L) {
  int *fd = lwebfile_check(L, 1);
  if (*fd >= 0) close(*fd);
  *fd = -1;
  return 0;
}

/* web_path(path, raw) -> the normal form, and whether escapes of '/' or NUL are in it; nil: an escape is none. With
 * `raw` escapes are not decoded. */
static int web_path(lua_State *L) {
  size_t size, out_size;
  const char *path = larg_string(L, 1, "path", &size);
  if (size == 0 || *path != '/') return larg_error(L, 1, "path", "a text that begins with '/'");
  bool raw = lua_toboolean(L, 2);
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, size);
  enum braid_path outcome = braid_path_normalise(path, size, raw, out, &out_size);
  if (outcome == BRAID_PATH_BAD) return 0;
  if (outcome == BRAID_PATH_PLAIN)
    lua_pushvalue(L, 1);
  else
    luaL_pushresultsize(&buffer, out_size);
  lua_pushboolean(L, outcome == BRAID_PATH_ESCAPED);
  return 2;
}

void lwebfile_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", file_read}, {"close", file_close}, {"__gc", file_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"web_file", web_file}, {"web_path", web_path}, {NULL, NULL}};
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
