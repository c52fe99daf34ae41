/* SPDX-License-Identifier: MIT
 * Files for lua/braid/file. Each call is a piece of work for a thread (core/file), which the box at stack index 1
 * holds; the task waits for its end. A call that changes something is *firm*: when it is cancelled, the work is told to
 * stop, and the task waits until it has. So what it says of its effects is true. Such a call returns nil, "cut" and how
 * much was done. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif

#include "core/base/limit.h"
#include "core/file/content.h"
#include "core/file/folder.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/lfd.h"
#include "lua/sched/lobject.h"

struct operation {
  void (*act)(struct braid_file_work *work);
  int (*push)(lua_State *L, struct braid_file_work *work); /* the results; NULL: true */
  const char *name;
  bool firm;
  bool masked; /* it is done even in a scope that is cancelled */
};

/* ---- one call ------------------------------------------------------------------------------------------------- */

static struct braid_file_work *work_at(lua_State *L, int index) {
  return braid_container(lobject_check(L, index, &braid_file_work_class), struct braid_file_work, blocking.object);
}

/* Makes the work of a call, and pushes its box. */
static struct braid_file_work *begin(lua_State *L, const struct operation *operation, const char *path,
                                     const char *other) {
  lobject_box(L, &braid_file_work_class);
  struct braid_file_work *work = braid_file_work_new(operation->act, path, other);
  if (!work) lerror_memory(L);
  lobject_fill(L, &work->blocking.object);
  return work;
}

/* "file.copy a", "file:read" */
static const char *push_what(lua_State *L, const struct operation *operation, const struct braid_file_work *work) {
  if (work->path) return lua_pushfstring(L, "file.%s %s", operation->name, work->path);
  return lua_pushfstring(L, "file:%s", operation->name);
}

static int finish(lua_State *L, const struct operation *operation) {
  struct braid_file_work *work = work_at(L, 1);
  if (work->error == ECANCELED) {
    lua_pushnil(L);
    lua_pushliteral(L, "cut");
    lua_pushinteger(L, work->count);
    return 3;
  }
  if (work->error) {
    lerror_system(L, work->error, push_what(L, operation, work));
    lua_pushinteger(L, work->count);
    return 3;
  }
  if (operation->push) return operation->push(L, work);
  lua_pushboolean(L, 1);
  return 1;
}

static int join(lua_State *L, const struct operation *operation);

static int join_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct sched *sched = sched_of(L);
  const struct operation *operation = (const struct operation *)context;
  enum braid_status end = sched_end(sched);
  if (!sched_stopped(end)) return finish(L, operation);
  braid_blocking_abandon(&work_at(L, 1)->blocking);
  if (!operation->firm) return sched_raise(L, sched, end);
  sched_begin_masked(L, sched);
  return join(L, operation);
}

/* Waits for the work. The task's waiter is armed. */
static int join(lua_State *L, const struct operation *operation) {
  struct sched *sched = sched_of(L);
  struct braid_wait_node *node = &sched_waiter(sched)->node;
  if (braid_blocking_wait(&work_at(L, 1)->blocking, node) == BRAID_WAIT)
    return sched_park(L, sched, BRAID_NEVER, join_k, (lua_KContext)operation);
  sched_forget(sched);
  return finish(L, operation);
}

/* Does the work whose box is on the top of the stack. Suspends. */
static int run(lua_State *L, const struct operation *operation) {
  struct sched *sched = sched_of(L);
  lua_replace(L, 1);
  lua_settop(L, 1);
  struct braid_file_work *work = work_at(L, 1);
  if (operation->masked)
    sched_begin_masked(L, sched);
  else
    sched_begin(L, sched);
  braid_file_work_start(work);
  return join(L, operation);
}

/* Gives the string at `index` to the work whose box is on the top of the stack; the box keeps it. */
static void give_input(lua_State *L, struct braid_file_work *work, int index) {
  work->input = larg_string(L, index, "data", &work->input_size);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
}

/* Only if the state closes while the task waits is the work not done yet. Then it may still read the input. */
static int work_gc(lua_State *L) {
  struct braid_object *object = lobject_take(L, 1);
  if (!object) return 0;
  struct braid_file_work *work = braid_container(object, struct braid_file_work, blocking.object);
  braid_blocking_abandon(&work->blocking);
  if (work->input) braid_blocking_await(&work->blocking);
  braid_object_unref(object);
  return 0;
}

/* ---- results -------------------------------------------------------------------------------------------------- */

static int push_count(lua_State *L, struct braid_file_work *work) {
  lua_pushinteger(L, work->count);
  return 1;
}

static int push_data(lua_State *L, struct braid_file_work *work) {
  lua_pushlstring(L, work->data.data, work->data.size);
  braid_buffer_term(&work->data); /* the box may live on for a while */
  return 1;
}

static void push_handle(lua_State *L, struct braid_file_work *work) {
  struct braid_open_file *file = work->file;
  lobject_box(L, &braid_open_file_class);
  work->file = NULL;
  lobject_fill(L, &file->object);
}

static void push_kind(lua_State *L, const struct braid_file_work *work) {
  char letter = braid_folder_letter(work->facts.st_mode);
  lua_pushlstring(L, &letter, 1);
}

static int push_opened(lua_State *L, struct braid_file_work *work) {
  push_handle(L, work);
  push_kind(L, work);
  return 2;
}

static int push_loaded(lua_State *L, struct braid_file_work *work) {
  return work->file ? push_opened(L, work) : push_data(L, work);
}

static int push_stored(lua_State *L, struct braid_file_work *work) {
  return work->file ? push_opened(L, work) : push_count(L, work);
}

static void set_number(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, struct timespec time) {
  lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

#ifdef __APPLE__
#define st_mtim st_mtimespec
#define st_atim st_atimespec
#define st_ctim st_ctimespec
#endif

static int push_facts(lua_State *L, struct braid_file_work *work) {
  const struct stat *facts = &work->facts;
  lua_createtable(L, 0, 10);
  push_kind(L, work);
  lua_setfield(L, -2, "kind");
  set_number(L, "size", facts->st_size);
  set_number(L, "mode", facts->st_mode & 07777);
  set_number(L, "uid", facts->st_uid);
  set_number(L, "gid", facts->st_gid);
  set_number(L, "inode", (int64_t)facts->st_ino);
  set_number(L, "links", (int64_t)facts->st_nlink);
  set_time(L, "mtime", facts->st_mtim);
  set_time(L, "atime", facts->st_atim);
  set_time(L, "ctime", facts->st_ctim);
  return 1;
}

/* -> list of names, their kinds as a string of letters. */
static int push_names(lua_State *L, struct braid_file_work *work) {
  luaL_Buffer kinds;
  const char *at = work->data.data;
  lua_createtable(L, (int)work->count, 0);
  luaL_buffinitsize(L, &kinds, (size_t)work->count);
  for (int64_t i = 1; i <= work->count; i++) {
    luaL_addchar(&kinds, *at++);
    size_t size = strlen(at);
    lua_pushlstring(L, at, size);
    lua_rawseti(L, 2, i);
    at += size + 1;
  }
  luaL_pushresult(&kinds);
  return 2;
}

/* -> path, handle; of a folder the path alone. */
static int push_temporary(lua_State *L, struct braid_file_work *work) {
  lua_pushstring(L, work->path);
  if (!work->file) return 1;
  push_handle(L, work);
  return 2;
}

/* ---- functions ------------------------------------------------------------------------------------------------ */

static const char *path_at(lua_State *L, int index) { return larg_string(L, index, "path", NULL); }

static int flags_of(lua_State *L, int index) {
  static const char *const modes[] = {"r", "w", "a", "r+", "w+", "a+", NULL};
  static const int flags[] = {O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND,
                              O_RDWR,   O_RDWR | O_CREAT | O_TRUNC,   O_RDWR | O_CREAT | O_APPEND};
  return flags[luaL_checkoption(L, index, NULL, modes)];
}

/* file_open(path, mode) -> handle, letter of its kind | nil, err. Suspends. */
static int file_open(lua_State *L) {
  static const struct operation operation = {.act = braid_content_open, .push = push_opened, .name = "open"};
  const char *path = path_at(L, 1);
  int flags = flags_of(L, 2);
  struct braid_file_work *work = begin(L, &operation, path, NULL);
  work->flags = flags;
  work->mode = 0666;
  return run(L, &operation);
}

/* file_load(path) -> all of it; or of other than a regular file: handle, letter of its kind | nil, err. Suspends. */
static int file_load(lua_State *L) {
  static const struct operation operation = {.act = braid_content_load, .push = push_loaded, .name = "read"};
  begin(L, &operation, path_at(L, 1), NULL);
  return run(L, &operation);
}

/* file_store(path, data, mode: "w" or "a") -> bytes; or of other than a regular file: handle, letter of its kind
 * | nil, err, bytes. Suspends. */
static int file_store(lua_State *L) {
  static const struct operation write = {
      .act = braid_content_store, .push = push_stored, .name = "write", .firm = true};
  static const struct operation append = {
      .act = braid_content_store, .push = push_stored, .name = "append", .firm = true};
  int flags = flags_of(L, 3);
  const struct operation *operation = flags & O_APPEND ? &append : &write;
  struct braid_file_work *work = begin(L, operation, path_at(L, 1), NULL);
  give_input(L, work, 2);
  work->flags = flags;
  work->mode = 0666;
  return run(L, operation);
}

/* file_replace(path, data, mode, sync) -> true | nil, err, bytes. Suspends. */
static int file_replace(lua_State *L) {
  static const struct operation operation = {.act = braid_content_replace, .name = "write", .firm = true};
  int mode = (int)larg_between(L, 3, "mode", 0, 07777);
  struct braid_file_work *work = begin(L, &operation, path_at(L, 1), NULL);
  give_input(L, work, 2);
  work->mode = mode;
  work->flags = !lua_toboolean(L, 4);
  return run(L, &operation);
}

/* file_copy(path, other) -> bytes | nil, err, bytes. Suspends. */
static int file_copy(lua_State *L) {
  static const struct operation operation = {
      .act = braid_content_copy, .push = push_count, .name = "copy", .firm = true};
  begin(L, &operation, path_at(L, 1), path_at(L, 2));
  return run(L, &operation);
}

/* file_rename(path, other) -> true | nil, err. Suspends. */
static int file_rename(lua_State *L) {
  static const struct operation operation = {.act = braid_folder_rename, .name = "rename", .firm = true};
  begin(L, &operation, path_at(L, 1), path_at(L, 2));
  return run(L, &operation);
}

/* file_remove(path, with all in it) -> true | nil, err, names removed. Suspends. */
static int file_remove(lua_State *L) {
  static const struct operation operation = {.act = braid_folder_remove, .name = "remove", .firm = true};
  bool all = lua_toboolean(L, 2);
  begin(L, &operation, path_at(L, 1), NULL)->flags = all;
  return run(L, &operation);
}

/* file_make(path, mode, with parents) -> true | nil, err. Makes a folder. Suspends. */
static int file_make(lua_State *L) {
  static const struct operation operation = {.act = braid_folder_make, .name = "mkdir", .firm = true};
  int mode = (int)larg_between(L, 2, "mode", 0, 07777);
  bool parents = lua_toboolean(L, 3);
  struct braid_file_work *work = begin(L, &operation, path_at(L, 1), NULL);
  work->mode = mode;
  work->flags = parents;
  return run(L, &operation);
}

/* file_list(path) -> names, letters of their kinds | nil, err. Suspends. */
static int file_list(lua_State *L) {
  static const struct operation operation = {.act = braid_folder_list, .push = push_names, .name = "list"};
  begin(L, &operation, path_at(L, 1), NULL);
  return run(L, &operation);
}

/* file_stat(path, of a link itself) -> facts | nil, err. Suspends. */
static int file_stat(lua_State *L) {
  static const struct operation operation = {.act = braid_folder_look, .push = push_facts, .name = "stat"};
  bool link = lua_toboolean(L, 2);
  begin(L, &operation, path_at(L, 1), NULL)->flags = link;
  return run(L, &operation);
}

/* file_temporary(template, folder) -> path, handle | nil, err. Suspends. */
static int file_temporary(lua_State *L) {
  static const struct operation operation = {
      .act = braid_folder_temporary, .push = push_temporary, .name = "temporary", .firm = true};
  bool folder = lua_toboolean(L, 2);
  begin(L, &operation, path_at(L, 1), NULL)->flags = folder;
  return run(L, &operation);
}

/* ---- open files ----------------------------------------------------------------------------------------------- */

static struct braid_open_file *self(lua_State *L) {
  return braid_container(lobject_check(L, 1, &braid_open_file_class), struct braid_open_file, object);
}

/* As begin, for a call of the handle at stack index 1. */
static struct braid_file_work *begin_on(lua_State *L, const struct operation *operation, const char *path) {
  struct braid_open_file *file = self(L);
  struct braid_file_work *work = begin(L, operation, path, NULL);
  braid_object_ref(&file->object);
  work->file = file;
  return work;
}

enum { OFFSET = 2, SIZE }; /* stack indices of the arguments of read */

/* Reads what the system has in memory, without a thread. False: it has to wait for the disk. */
static bool read_at_once(lua_State *L, const struct braid_open_file *file, int64_t offset, size_t size) {
#ifdef RWF_NOWAIT
  luaL_Buffer buffer;
  if (file->fd < 0 || size > BRAID_FILE_PIECE) return false;
  struct iovec room = {luaL_buffinitsize(L, &buffer, size), size};
  ssize_t count = preadv2(file->fd, &room, 1, offset, RWF_NOWAIT);
  luaL_pushresultsize(&buffer, count < 0 ? 0 : (size_t)count);
  return count >= 0;
#else
  (void)L, (void)file, (void)offset, (void)size;
  return false;
#endif
}

static int read_k(lua_State *L, int status, lua_KContext context) {
  static const struct operation operation = {.act = braid_content_read, .push = push_data, .name = "read"};
  (void)context;
  sched_entered(sched_of(L), status);
  int64_t offset = lua_tointeger(L, OFFSET), size = lua_tointeger(L, SIZE);
  if (read_at_once(L, self(L), offset, (size_t)size)) return 1;
  struct braid_file_work *work = begin_on(L, &operation, NULL);
  work->offset = offset;
  work->size = size;
  return run(L, &operation);
}

/* read(offset, size) -> bytes, maybe not all; "" at the end | nil, err. Suspends. */
static int file_read(lua_State *L) {
  self(L);
  larg_integer(L, OFFSET, "offset", 0);
  larg_integer(L, SIZE, "size", 1);
  lua_settop(L, SIZE);
  return sched_attempt(L, sched_of(L), read_k, 0);
}

/* write(offset, data) -> bytes | nil, err, bytes. Suspends. */
static int file_write(lua_State *L) {
  static const struct operation operation = {
      .act = braid_content_write, .push = push_count, .name = "write", .firm = true};
  int64_t offset = larg_integer(L, 2, "offset", 0);
  struct braid_file_work *work = begin_on(L, &operation, NULL);
  give_input(L, work, 3);
  work->offset = offset;
  return run(L, &operation);
}

/* sync(data alone) -> true | nil, err. Suspends. */
static int file_sync(lua_State *L) {
  static const struct operation operation = {.act = braid_content_sync, .name = "sync", .firm = true};
  bool data = lua_toboolean(L, 2);
  begin_on(L, &operation, NULL)->flags = data;
  return run(L, &operation);
}

/* truncate(size) -> true | nil, err. Suspends. */
static int file_truncate(lua_State *L) {
  static const struct operation operation = {.act = braid_content_truncate, .name = "truncate", .firm = true};
  int64_t size = larg_integer(L, 2, "size", 0);
  begin_on(L, &operation, NULL)->size = size;
  return run(L, &operation);
}

/* stat() -> facts | nil, err. Suspends. */
static int file_look(lua_State *L) {
  static const struct operation operation = {.act = braid_content_look, .push = push_facts, .name = "stat"};
  begin_on(L, &operation, NULL);
  return run(L, &operation);
}

/* lock("shared", "exclusive" or "none") -> true | nil, err; its code is EAGAIN if another has it. Suspends. */
static int file_lock(lua_State *L) {
  static const struct operation operation = {.act = braid_content_lock, .name = "lock", .firm = true};
  static const char *const kinds[] = {"shared", "exclusive", "none", NULL};
  static const int flags[] = {LOCK_SH | LOCK_NB, LOCK_EX | LOCK_NB, LOCK_UN};
  int kind = luaL_checkoption(L, 2, NULL, kinds);
  begin_on(L, &operation, NULL)->flags = flags[kind];
  return run(L, &operation);
}

/* close() -> true | nil, err. Waits also where the scope is cancelled. Suspends. */
static int file_close(lua_State *L) {
  static const struct operation operation = {.act = braid_content_close, .name = "close", .firm = true, .masked = true};
  begin_on(L, &operation, NULL);
  return run(L, &operation);
}

/* descriptor() -> a descriptor for streams, which owns the file from now on. For files that are not regular. */
static int file_descriptor(lua_State *L) {
  struct braid_open_file *file = self(L);
  struct descriptor *descriptor = lfd_new(L);
  int fd = braid_open_file_detach(file);
  if (fd < 0) return lerror_return(L, BRAID_CLOSED, "file");
  lfd_adopt(descriptor, fd);
  return 1;
}

/* ---- changes -------------------------------------------------------------------------------------------------- */

#ifdef __linux__
/* watch(path, events) -> number of the watch | nil, err. For a handle from file_watcher. Suspends. */
static int file_watch(lua_State *L) {
  static const struct operation operation = {
      .act = braid_folder_watch, .push = push_count, .name = "watch", .firm = true};
  const char *path = path_at(L, 2);
  int events = (int)larg_integer(L, 3, "events", 1);
  begin_on(L, &operation, path)->flags = events;
  return run(L, &operation);
}

/* file_watcher() -> handle to add watches, descriptor to read events from | nil, err. */
static int file_watcher(lua_State *L) {
  lua_settop(L, 0);
  lobject_box(L, &braid_open_file_class);
  struct descriptor *descriptor = lfd_new(L);
  int fd, copy;
  do fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  while (fd < 0 && braid_limit_raised());
  if (fd < 0) return lerror_system(L, errno, "file.watch");
  do copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  while (copy < 0 && braid_limit_raised());
  int error = copy < 0 ? errno : 0;
  lfd_adopt(descriptor, fd);
  if (error) return lerror_system(L, error, "file.watch");
  struct braid_open_file *file = braid_open_file_new(copy);
  if (!file) close(copy);
  lua_insert(L, 1);
  lobject_fill(L, file ? &file->object : NULL);
  lua_insert(L, 1);
  return 2;
}
#endif

void lfile_open(lua_State *L) {
  static const luaL_Reg work_methods[] = {{"__gc", work_gc}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"read", file_read},   {"write", file_write}, {"sync", file_sync},   {"truncate", file_truncate},
      {"stat", file_look},   {"lock", file_lock},   {"close", file_close}, {"descriptor", file_descriptor},
#ifdef __linux__
      {"watch", file_watch},
#endif
      {NULL, NULL}};
  static const luaL_Reg functions[] = {{"file_open", file_open},
                                       {"file_load", file_load},
                                       {"file_store", file_store},
                                       {"file_replace", file_replace},
                                       {"file_copy", file_copy},
                                       {"file_rename", file_rename},
                                       {"file_remove", file_remove},
                                       {"file_make", file_make},
                                       {"file_list", file_list},
                                       {"file_stat", file_stat},
                                       {"file_temporary", file_temporary},
#ifdef __linux__
                                       {"file_watcher", file_watcher},
#endif
                                       {NULL, NULL}};
  lobject_class(L, &braid_file_work_class, work_methods);
  lua_pop(L, 1);
  lobject_class(L, &braid_open_file_class, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
  static const struct {
    const char *name;
    int number;
  } numbers[] = {{"ENXIO", ENXIO}, {"ENOENT", ENOENT}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    lua_pushinteger(L, numbers[i].number);
    lua_setfield(L, -2, numbers[i].name);
  }
}
