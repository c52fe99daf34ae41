/* SPDX-License-Identifier: MIT
 * One log for the process, guarded by one mutex: who traces can wait. It ends when memory is out. */
#include "lua/sched/ltrace.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/thread.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/base/lposition.h"

struct event {
  int64_t time;
  const void *whose;
  int32_t track; /* the thread, or minus the process */
  uint8_t what;  /* enum trace_event */
  char name[43];
};

atomic_bool trace_on;

static struct {
  pthread_mutex_t mutex;
  struct braid_buffer events;
} chronicle = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void append(const struct event *event) {
  pthread_mutex_lock(&chronicle.mutex);
  if (trace_is_on() && !braid_buffer_append(&chronicle.events, event, sizeof *event)) atomic_store(&trace_on, false);
  pthread_mutex_unlock(&chronicle.mutex);
}

void trace_record(enum trace_event what, const void *whose, const char *name) {
  struct event event = {
      .time = braid_clock_now(), .whose = whose, .track = braid_thread_number(), .what = (uint8_t)what};
  if (name) snprintf(event.name, sizeof event.name, "%s", name);
  append(&event);
}

void trace_record_of(enum trace_event what, const void *whose, int64_t time, int process) {
  struct event event = {.time = time, .whose = whose, .track = -process, .what = (uint8_t)what};
  append(&event);
}

/* Whether the value at `index` is a function of the user's; its definition either way, when it is one. */
static bool is_users(lua_State *L, int index, lua_Debug *ar) {
  if (!lua_isfunction(L, index)) return false;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", ar);
  return *ar->what != 'C' && !position_is_ours(ar);
}

void trace_name_by(lua_State *L, int index, const void *whose) {
  lua_Debug ar = {.what = "C"}, other;
  char name[16 + LUA_IDSIZE];
  if (!lua_checkstack(L, 1)) return;
  bool found = is_users(L, index, &ar);
  for (int i = index + 1; i <= lua_gettop(L) && !found; i++)
    if ((found = is_users(L, i, &other))) ar = other;
  const char *file = strrchr(ar.short_src, '/');
  snprintf(name, sizeof name, "%s:%d", file ? file + 1 : ar.short_src, ar.linedefined);
  trace_record(TRACE_NAME, whose, *ar.what == 'C' ? "a C function" : name);
}

/* trace_start(): false when somebody traces already */
static int trace_start(lua_State *L) {
  pthread_mutex_lock(&chronicle.mutex);
  bool free = !trace_is_on();
  if (free) {
    braid_buffer_term(&chronicle.events);
    braid_buffer_init(&chronicle.events);
    atomic_store(&trace_on, true);
  }
  pthread_mutex_unlock(&chronicle.mutex);
  lua_pushboolean(L, free);
  return 1;
}

/* trace_stop(): nothing is written down from here on */
static int trace_stop(lua_State *L) {
  (void)L;
  pthread_mutex_lock(&chronicle.mutex);
  atomic_store(&trace_on, false);
  pthread_mutex_unlock(&chronicle.mutex);
  return 0;
}

/* trace_event(i) -> what, whose, track, seconds, name; nil behind the last. While nobody traces. */
static int trace_event(lua_State *L) {
  static const char *const names[] = {"name", "step", "park", "submit", "run", "done", "home"};
  size_t i = (size_t)larg_integer(L, 1, "i", 1) - 1;
  struct event event;
  pthread_mutex_lock(&chronicle.mutex);
  bool there = !trace_is_on() && (i + 1) * sizeof event <= chronicle.events.size;
  if (there) memcpy(&event, chronicle.events.data + i * sizeof event, sizeof event);
  pthread_mutex_unlock(&chronicle.mutex);
  if (!there) return 0;
  lua_pushstring(L, names[event.what]);
  lua_pushinteger(L, (lua_Integer)(intptr_t)event.whose);
  lua_pushinteger(L, event.track);
  lua_pushnumber(L, (lua_Number)event.time / (lua_Number)BRAID_SECOND);
  lua_pushstring(L, event.name);
  return 5;
}

static const luaL_Reg functions[] = {
    {"trace_start", trace_start}, {"trace_stop", trace_stop}, {"trace_event", trace_event}, {NULL, NULL}};

void ltrace_open(lua_State *L) { luaL_setfuncs(L, functions, 0); }
