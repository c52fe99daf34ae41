/* SPDX-License-Identifier: MIT
 * A kernel's files have one name and the endings .so, .so.txt and .so.lock. Several processes may use the folder at any
 * time: a library that was removed stays loaded where it is, and is compiled again when it is next needed. */
#include "lua/kernels/lkernelcache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

const char *lkernelcache_refusal(const char *path, bool folder) {
  struct stat about;
  if (lstat(path, &about) != 0) return strerror(errno);
  if (folder ? !S_ISDIR(about.st_mode) : !S_ISREG(about.st_mode)) return folder ? "it is no folder" : "it is no file";
  if (about.st_uid != geteuid()) return "it belongs to another user";
  if (about.st_mode & (S_IWGRP | S_IWOTH)) return "other users may write it";
  return NULL;
}

/* compiled_folder(path, ours) -> true: the folder exists, made if it was not there; with `ours`, only this user can
 * write it. Else nil, why not. */
static int compiled_folder(lua_State *L) {
  const char *path = larg_string(L, 1, "path", NULL), *why = NULL;
  if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST) why = strerror(errno);
  if (!why && lua_toboolean(L, 2)) why = lkernelcache_refusal(path, true);
  if (!why) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* compiled_file(path) -> a text that differs between versions of the file; nil: there is none that can be executed */
static int compiled_file(lua_State *L) {
  const char *path = larg_string(L, 1, "path", NULL);
  struct stat about;
  if (stat(path, &about) != 0 || !S_ISREG(about.st_mode) || access(path, X_OK) != 0) return 0;
  lua_pushfstring(L, "%I/%I/%I", (LUAI_UACINT)about.st_size, (LUAI_UACINT)about.st_mtim.tv_sec,
                  (LUAI_UACINT)about.st_ino);
  return 1;
}

/* compiled_hash(text) -> 32 hexadecimal digits, for the name of a file (FNV-1a, twice) */
static int compiled_hash(lua_State *L) {
  size_t size;
  const char *text = larg_string(L, 1, "text", &size);
  uint64_t a = 0xcbf29ce484222325, b = 0x9ae16a3b2f90404f;
  for (size_t i = 0; i < size; i++) {
    a = (a ^ (unsigned char)text[i]) * 0x100000001b3;
    b = (b ^ (unsigned char)text[i]) * 0x3f3ccf6d5b6b8ad5;
  }
  char digits[33];
  snprintf(digits, sizeof digits, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
  lua_pushstring(L, digits);
  return 1;
}

/* ---- eviction ---------------------------------------------------------------------------------------------------- */

enum { STALE = 3600 }; /* seconds after which a file is left over by a process that has ended */

struct entry {
  char name[48];
  time_t used;
  int64_t size;
};

struct listing {
  struct entry *entries;
  size_t count, room;
  int64_t size;
};

static bool ends_with(const char *name, const char *ending) {
  size_t size = strlen(name), more = strlen(ending);
  return size >= more && strcmp(name + size - more, ending) == 0;
}

/* False: memory is out. */
static bool add_entry(struct listing *listing, const char *name, const struct stat *about) {
  if (strlen(name) >= sizeof listing->entries->name) return true;
  if (listing->count == listing->room) {
    size_t room = listing->room ? 2 * listing->room : 64;
    struct entry *entries = realloc(listing->entries, room * sizeof *entries);
    if (!entries) return false;
    listing->entries = entries;
    listing->room = room;
  }
  struct entry *entry = &listing->entries[listing->count++];
  *entry = (struct entry){.used = about->st_mtime, .size = about->st_size};
  strcpy(entry->name, name);
  listing->size += entry->size;
  return true;
}

/* Lists the libraries, and removes what processes that have ended left over. */
static bool list_folder(DIR *folder, struct listing *listing) {
  struct stat about;
  time_t now = time(NULL);
  for (struct dirent *each; (each = readdir(folder));) {
    if (fstatat(dirfd(folder), each->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(about.st_mode)) continue;
    bool passing = ends_with(each->d_name, ".tmp") || ends_with(each->d_name, ".lock");
    if (passing && now - about.st_mtime > STALE) unlinkat(dirfd(folder), each->d_name, 0);
    if (ends_with(each->d_name, ".so") && !add_entry(listing, each->d_name, &about)) return false;
  }
  return true;
}

static int compare_use(const void *a, const void *b) {
  time_t left = ((const struct entry *)a)->used, right = ((const struct entry *)b)->used;
  return (left > right) - (left < right);
}

static void remove_entry(int folder, const struct entry *entry) {
  char text[sizeof entry->name + 4];
  snprintf(text, sizeof text, "%s.txt", entry->name);
  unlinkat(folder, entry->name, 0);
  unlinkat(folder, text, 0);
}

/* compiled_evict(folder, most) -> how many were removed. If the libraries have more than `most` bytes, those that were
 * not used for the longest time are removed until they have at most three quarters of it. Blocks for the file system.
 */
static int compiled_evict(lua_State *L) {
  const char *path = larg_string(L, 1, "folder", NULL);
  int64_t most = larg_integer(L, 2, "most", 0);
  struct listing listing = {0};
  size_t removed = 0;
  DIR *folder = opendir(path);
  if (!folder) return 0;
  if (list_folder(folder, &listing) && listing.size > most) {
    qsort(listing.entries, listing.count, sizeof *listing.entries, compare_use);
    for (; removed < listing.count && listing.size > most / 4 * 3; removed++) {
      remove_entry(dirfd(folder), &listing.entries[removed]);
      listing.size -= listing.entries[removed].size;
    }
  }
  closedir(folder);
  free(listing.entries);
  lua_pushinteger(L, (lua_Integer)removed);
  return 1;
}

void lkernelcache_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"compiled_folder", compiled_folder},
      {"compiled_file", compiled_file},
      {"compiled_hash", compiled_hash},
      {"compiled_evict", compiled_evict},
      {NULL, NULL},
  };
  sched_register(L, functions);
}
