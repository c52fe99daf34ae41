/* SPDX-License-Identifier: MIT
 * Part of the host in a build that counts (see `make coverage`). Each line of lua/braid that runs is marked in a file
 * below BRAID_LINES, which is mapped into every process: so the marks of a process that is killed stay. Any thread. */
#include <fcntl.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILES = 256, NAME = 64, LINES = 4096 }; /* more files, longer names and further lines are not marked */

struct marks {
  char name[NAME];
  unsigned char *_Atomic lines; /* [line] is 1 once it has run; the last field to be set, NULL in a free place */
};

static struct marks files[FILES]; /* open addressing; a place is never given back */
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

/* The file of marks for lua/braid/a/b.lua is named braid.a.b.lua. */
static unsigned char *map_marks(const char *name) {
  char path[4096];
  const char *folder = getenv("BRAID_LINES");
  if (!folder) return NULL;
  size_t start = (size_t)snprintf(path, sizeof path, "%s/", folder);
  if (start + NAME > sizeof path) return NULL;
  strcpy(path + start, name);
  for (char *at = path + start; *at; at++)
    if (*at == '/') *at = '.';
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return NULL;
  void *lines = ftruncate(fd, LINES) == 0 ? mmap(NULL, LINES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  close(fd);
  return lines == MAP_FAILED ? NULL : lines;
}

/* The place of a file, or the free one where it belongs. NULL: all are taken. */
static struct marks *find(const char *name) {
  unsigned hash = 5381;
  for (const char *at = name; *at; at++) hash = hash * 33 + (unsigned char)*at;
  for (unsigned i = 0; i < FILES; i++) {
    struct marks *marks = &files[(hash + i) % FILES];
    if (!atomic_load(&marks->lines) || strcmp(marks->name, name) == 0) return marks;
  }
  return NULL;
}

static unsigned char *marks_of(const char *name) {
  struct marks *marks = find(name);
  if (!marks || atomic_load(&marks->lines)) return marks ? atomic_load(&marks->lines) : NULL;
  pthread_mutex_lock(&adding);
  marks = find(name);
  if (marks && !atomic_load(&marks->lines)) {
    strcpy(marks->name, name);
    atomic_store(&marks->lines, map_marks(name));
  }
  pthread_mutex_unlock(&adding);
  return marks ? atomic_load(&marks->lines) : NULL;
}

static void on_line(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "S", ar);
  const char *at = ar->source[0] == '@' ? strstr(ar->source, "lua/braid/") : NULL;
  if (!at || strlen(at + 4) >= NAME || ar->currentline < 0 || ar->currentline >= LINES) return;
  unsigned char *lines = marks_of(at + 4);
  if (lines) lines[ar->currentline] = 1;
}

/* ---- what the linker sends here (--wrap) ------------------------------------------------------------------------ */

lua_State *__real_lua_newstate(lua_Alloc allocate, void *context);
lua_State *__wrap_lua_newstate(lua_Alloc allocate, void *context);
void __real_lua_sethook(lua_State *L, lua_Hook hook, int mask, int count);
void __wrap_lua_sethook(lua_State *L, lua_Hook hook, int mask, int count);
lua_Hook __real_lua_gethook(lua_State *L);
lua_Hook __wrap_lua_gethook(lua_State *L);
int __real_lua_gethookmask(lua_State *L);
int __wrap_lua_gethookmask(lua_State *L);

/* Every state begins with the hook, and its coroutines inherit it. */
lua_State *__wrap_lua_newstate(lua_Alloc allocate, void *context) {
  lua_State *L = __real_lua_newstate(allocate, context);
  if (L) __real_lua_sethook(L, on_line, LUA_MASKLINE, 0);
  return L;
}

/* Others do not see it; it stands back while they have one. */
void __wrap_lua_sethook(lua_State *L, lua_Hook hook, int mask, int count) {
  if (hook && mask)
    __real_lua_sethook(L, hook, mask, count);
  else
    __real_lua_sethook(L, on_line, LUA_MASKLINE, 0);
}

lua_Hook __wrap_lua_gethook(lua_State *L) {
  lua_Hook hook = __real_lua_gethook(L);
  return hook == on_line ? NULL : hook;
}

int __wrap_lua_gethookmask(lua_State *L) { return __real_lua_gethook(L) == on_line ? 0 : __real_lua_gethookmask(L); }
