/* SPDX-License-Identifier: MIT
 * Arrays in files, for lua/braid/sync/npy.lua. What blocks for a file runs on native threads; the calling task is
 * suspended. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/storage.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lkernel.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"
#include "lua/sync/larray.h"

static size_t bytes_of(const struct braid_row *row) { return row->count * braid_array_width(row->type); }

static void release_storage(void *arguments) { close(((struct braid_storage *)arguments)->fd); }

static int finish_storage(lua_State *L, void *arguments) {
  struct braid_storage *this = arguments;
  int error = atomic_load(&this->error);
  if (error) return lerror_system(L, error, this->write ? "write" : "read");
  lua_pushboolean(L, 1);
  return 1;
}

static const struct lkernel storage_kernel = {"storage", braid_storage_run, finish_storage, release_storage};

/* storage_move(path, offset, array, write) -> true; or nil, err. Reads all bytes of the array from this place of the
 * file, or writes them; a file to be written is made if it is not there. Suspends. */
static int storage_move(lua_State *L) {
  const char *path = larg_string(L, 1, "path", NULL);
  lua_Integer offset = larg_integer(L, 2, "offset", 0);
  bool writes = lua_toboolean(L, 4);
  struct braid_row row = writes ? lrow_check(L, 3, "array") : lrow_check_out(L, 3, "array");
  struct braid_storage *this = lkernel_new(L, &storage_kernel, sizeof *this);
  this->fd = -1;
  /* a pipe must not hold the loop: only a file or a folder opens at once */
  this->fd = open(path, (writes ? O_WRONLY | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NONBLOCK, 0666);
  if (this->fd < 0) return lerror_system(L, errno, path);
  this->data = row.data;
  this->size = bytes_of(&row);
  this->offset = offset;
  this->write = writes;
  const struct braid_array *array = larray_check(L, 3, "array").array;
  this->memory = array->named ? -1 : braid_array_room(array)->segment->fd;
  this->place = (int64_t)braid_array_offset(array);
  return lkernel_run(L, 0, this->size == 0);
}

static int finish_sync(lua_State *L, void *arguments) {
  int error = atomic_load(&((struct braid_storage *)arguments)->error);
  if (error) return lerror_system(L, error, "sync");
  lua_pushboolean(L, 1);
  return 1;
}

static const struct lkernel sync_kernel = {"sync", braid_storage_sync, finish_sync, NULL};

/* storage_sync(array) -> true; or nil, err. Suspends. */
static int storage_sync(lua_State *L) {
  struct larray_view view = larray_check(L, 1, "array");
  struct braid_storage *this = lkernel_new(L, &sync_kernel, sizeof *this);
  if (view.array->named) {
    this->data = view.data;
    this->size = view.length * braid_array_width(view.type);
  }
  return lkernel_run(L, 1, this->size == 0);
}

/* storage_size(path) -> the size of a regular file; or nil, err */
static int storage_size(lua_State *L) {
  const char *path = larg_string(L, 1, "path", NULL);
  struct stat about;
  if (stat(path, &about) != 0) return lerror_system(L, errno, path);
  if (!S_ISREG(about.st_mode)) return lerror_system(L, EINVAL, path);
  lua_pushinteger(L, (lua_Integer)about.st_size);
  return 1;
}

struct checksum {
  struct braid_row row;
  uint32_t crc;
};

static void run_crc(struct braid_team *team, void *arguments) {
  struct checksum *this = arguments;
  (void)team;
  this->crc = braid_storage_crc(this->crc, this->row.data, bytes_of(&this->row));
}

static int finish_crc(lua_State *L, void *arguments) {
  lua_pushinteger(L, ((struct checksum *)arguments)->crc);
  return 1;
}

static const struct lkernel crc_kernel = {"crc", run_crc, finish_crc, NULL};

/* storage_crc(text, array) -> CRC-32 of the text and the array's bytes after it. Suspends. */
static int storage_crc(lua_State *L) {
  size_t size;
  const char *text = larg_string(L, 1, "text", &size);
  struct checksum this = {lrow_check(L, 2, "array"), braid_storage_crc(0, text, size)};
  *(struct checksum *)lkernel_new(L, &crc_kernel, sizeof this) = this;
  return lkernel_run(L, 1, bytes_of(&this.row) < 65536);
}

static int finish_inflate(lua_State *L, void *arguments) {
  const struct braid_inflation *this = arguments;
  lrow_check_status(L, this->status);
  lua_pushboolean(L, this->result == BRAID_INFLATED);
  if (this->result == BRAID_INFLATED) return 1;
  lua_pushstring(L, this->result == BRAID_INFLATED_NO_ZLIB ? "it is compressed, which needs zlib (Debian: zlib1g)"
                                                           : "its compressed bytes are damaged");
  return 2;
}

static const struct lkernel inflate_kernel = {"inflate", braid_storage_inflate, finish_inflate, NULL};

/* storage_inflate(packed, skip, array, whole) -> true; or false and why not. Fills the array with what comes after the
 * first `skip` bytes; with `whole` nothing may come after it. Suspends. */
static int storage_inflate(lua_State *L) {
  struct braid_row packed = lrow_check_type(L, 1, "packed", BRAID_U8), out = lrow_check_out(L, 3, "array");
  lua_Integer skip = larg_integer(L, 2, "skip", 0);
  struct braid_inflation *this = lkernel_new(L, &inflate_kernel, sizeof *this);
  this->from = packed.data;
  this->from_size = packed.count;
  this->to = out.data;
  this->size = bytes_of(&out);
  this->skip = (size_t)skip;
  this->whole = lua_toboolean(L, 4);
  return lkernel_run(L, 1, this->size < 65536 && packed.count < 65536);
}

static void release_deflate(void *arguments) { braid_buffer_term(&((struct braid_deflation *)arguments)->out); }

static int finish_deflate(lua_State *L, void *arguments) {
  const struct braid_deflation *this = arguments;
  lrow_check_status(L, this->status);
  if (this->missing) {
    lua_pushnil(L);
    lerror_push(L, "system", "compressing needs zlib (Debian: zlib1g)");
    return 2;
  }
  size_t size = this->out.size - BRAID_GZIP_HEADER - BRAID_GZIP_TRAILER;
  memcpy(larray_new(L, BRAID_U8, size).data, this->out.data + BRAID_GZIP_HEADER, size);
  return 1;
}

static const struct lkernel deflate_kernel = {"deflate", braid_storage_deflate, finish_deflate, release_deflate};

/* storage_deflate(text, array) -> u8 array: the text and the array's bytes, compressed as zip has them; or nil, err.
 * Suspends. */
static int storage_deflate(lua_State *L) {
  size_t size;
  const char *text = larg_string(L, 1, "text", &size);
  struct braid_row row = lrow_check(L, 2, "array");
  struct braid_deflation *this = lkernel_new(L, &deflate_kernel, sizeof *this);
  this->head = text;
  this->head_size = size;
  this->data = row.data;
  this->size = bytes_of(&row);
  return lkernel_run(L, 1, this->size < 16384);
}

void lstorage_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"storage_move", storage_move},
      {"storage_size", storage_size},
      {"storage_crc", storage_crc},
      {"storage_sync", storage_sync},
      {"storage_inflate", storage_inflate},
      {"storage_deflate", storage_deflate},
      {NULL, NULL},
  };
  sched_register(L, functions);
}
