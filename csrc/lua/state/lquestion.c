/* SPDX-License-Identifier: MIT
 * Questions to other processes, for `braid ps`: through /proc and core/inspect/question.h. Nothing blocks. */
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/visible.h"
#include "core/inspect/question.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

#define METATABLE "braid.question"

static struct braid_question *check(lua_State *L) { return larg_object(L, 1, METATABLE); }

static int refuse(lua_State *L, int error) {
  lua_pushnil(L);
  lua_pushstring(L, error == ESRCH ? "ended" : strerror(error));
  return 2;
}

/* question_new(pid) -> question, or nil and the reason: "ended" when there is no such process */
static int question_new(lua_State *L) {
  lua_Integer pid = larg_integer(L, 1, "pid", 1);
  if (pid > INT32_MAX) return refuse(L, ESRCH);
  struct braid_question *question = lua_newuserdatauv(L, sizeof *question, 0);
  int error = braid_question_open(question, (pid_t)pid);
  luaL_setmetatable(L, METATABLE);
  return error ? refuse(L, error) : 1;
}

/* question:ask(counts) -> true, or nil and the reason; `counts`: asks for numbers, not for a dump */
static int question_ask(lua_State *L) {
  struct braid_question *question = check(L);
  int error = braid_question_ask(question, lua_toboolean(L, 2) ? BRAID_QUESTION_COUNTS : BRAID_QUESTION_DUMP);
  lua_pushboolean(L, 1);
  return error ? refuse(L, error) : 1;
}

/* question:profile(number) -> true, or nil and the reason: it shall send a profile to the socket with this number */
static int question_profile(lua_State *L) {
  int error = braid_question_profile(check(L), (unsigned)larg_integer(L, 2, "number", 0));
  lua_pushboolean(L, 1);
  return error ? refuse(L, error) : 1;
}

/* question:look() -> the text; or false while it is not complete, and whether it has begun to come; or nil and the
 * reason */
static int question_look(lua_State *L) {
  struct braid_question *question = check(L);
  int error = braid_question_look(question);
  if (error == EAGAIN) {
    lua_pushboolean(L, 0);
    lua_pushboolean(L, question->connection >= 0);
    return 2;
  }
  if (error) return refuse(L, error);
  lua_pushlstring(L, question->text.data, question->text.size);
  return 1;
}

static int question_close(lua_State *L) {
  braid_question_close(check(L));
  return 0;
}

/* Counts the names in an open folder that are numbers, at most `most`. If `list` is not NULL, also puts them into the
 * list on the top of its stack, which has room. */
static lua_Integer visit_numbers(DIR *folder, lua_State *list, lua_Integer most) {
  lua_Integer count = 0;
  for (struct dirent *entry; count < most && (entry = readdir(folder));) {
    char *end;
    lua_Integer number = strtoll(entry->d_name, &end, 10);
    if (number <= 0 || *end) continue;
    count++;
    if (!list) continue;
    lua_pushinteger(list, number);
    lua_rawseti(list, -2, count);
  }
  return count;
}

/* numbers(folder) -> a list of the names in it that are numbers; or nil, text and error number, as io.open */
static int numbers(lua_State *L) {
  const char *path = larg_string(L, 1, "folder", NULL);
  DIR *folder = opendir(path);
  if (!folder) return luaL_fileresult(L, 0, path);
  lua_Integer count = visit_numbers(folder, NULL, LUA_MAXINTEGER);
  closedir(folder);
  lua_createtable(L, (int)count, 0); /* while the folder is open nothing may raise */
  folder = opendir(path);
  if (!folder) return luaL_fileresult(L, 0, path);
  visit_numbers(folder, L, count);
  closedir(folder);
  return 1;
}

/* other_space(pid) -> the kind of namespace ("pid", "net" or "user") in which that process differs from this one; or
 * nothing */
static int other_space(lua_State *L) {
  static const char *const kinds[] = {"pid", "net", "user"};
  lua_Integer pid = larg_integer(L, 1, "pid", 1);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    struct stat ours, theirs;
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/ns/%s", (long long)pid, kinds[i]);
    bool known = stat(path, &theirs) == 0;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    if (!known || stat(path, &ours) || ours.st_ino == theirs.st_ino) continue;
    lua_pushstring(L, kinds[i]);
    return 1;
  }
  return 0;
}

/* printable(text, lines) -> the text, with \xNN for each character that is not visible; with `lines`, line ends stay */
static int printable(lua_State *L) {
  size_t size;
  const char *text = larg_string(L, 1, "text", &size);
  struct braid_buffer shown;
  braid_buffer_init(&shown);
  braid_visible_append(&shown, text, size, lua_toboolean(L, 2));
  lua_pushlstring(L, shown.data ? shown.data : "", shown.size);
  braid_buffer_term(&shown);
  return 1;
}

/* peer_process(fd) -> the process at the other end of a Unix socket, and its user; or nothing */
static int peer_process(lua_State *L) {
#ifdef __linux__
  struct ucred peer;
  if (braid_question_peer((int)larg_integer(L, 1, "fd", 0), &peer)) return 0;
  lua_pushinteger(L, peer.pid);
  lua_pushinteger(L, peer.uid);
  return 2;
#else
  (void)L;
  return 0;
#endif
}

/* user_id() -> the number of the user as whom this process runs */
static int user_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)geteuid());
  return 1;
}

static const luaL_Reg methods[] = {{"ask", question_ask},       {"look", question_look},  {"profile", question_profile},
                                   {"__close", question_close}, {"__gc", question_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"question_new", question_new},
                                     {"numbers", numbers},
                                     {"peer_process", peer_process},
                                     {"user_id", user_id},
                                     {"other_space", other_space},
                                     {"printable", printable},
                                     {NULL, NULL}};

void lquestion_open(lua_State *L) {
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
