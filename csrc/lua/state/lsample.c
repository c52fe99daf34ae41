/* SPDX-License-Identifier: MIT
 * A hook that was armed inside a C function is first called at the return of this function, which still has its frame
 * then. So the time inside C functions is theirs. */
#include "lua/state/lsample.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/visible.h"
#include "core/inspect/answer.h"
#include "core/inspect/sampler.h"
#include "lua/base/lopen.h"
#include "lua/sched/lbottom.h"
#include "lua/sched/ltaskname.h"

enum { MOST_FRAMES = 200, MOST_SOURCE = 200 };

static void add(struct braid_buffer *line, const char *text, size_t size) {
  braid_visible_append(line, text, size, false);
}

static void add_number(struct braid_buffer *line, int number) {
  char text[16];
  braid_buffer_append(line, text, (size_t)snprintf(text, sizeof text, "\x1f%d", number));
}

/* A frame: name, file, line of the definition, line. */
static void add_frame(struct braid_buffer *line, const lua_Debug *ar) {
  const char *name = ar->name ? ar->name : "", *source = ar->short_src;
  if (*ar->what == 'm') name = "main chunk";
  if (*ar->source == '@') source = ar->source + 1;
  size_t size = strlen(source), skipped = size > MOST_SOURCE ? size - MOST_SOURCE : 0;
  braid_buffer_append(line, "\t", 1);
  add(line, name, strnlen(name, MOST_SOURCE));
  braid_buffer_append(line, "\x1f", 1);
  add(line, source + skipped, size - skipped);
  add_number(line, ar->linedefined);
  add_number(line, ar->currentline);
}

static void add_special(struct braid_buffer *line, const char *name) {
  braid_buffer_append(line, "\t", 1);
  add(line, name, strlen(name));
}

static void add_frames(struct braid_buffer *line, lua_State *co, int level) {
  lua_Debug ar;
  for (; lua_getstack(co, level, &ar); level++) {
    if (level == MOST_FRAMES) {
      add_special(line, "(deeper)");
      return;
    }
    lua_getinfo(co, "Sln", &ar);
    add_frame(line, &ar);
  }
}

/* Arguments: the line, the scheduler. Adds the name of the current task. */
static int add_task(lua_State *L) {
  struct braid_buffer *line = lua_touserdata(L, 1);
  struct sched *sched = lua_touserdata(L, 2);
  bottom_push(L, sched->current->co, BOTTOM_TASK); /* not sched_push_task: nobody will keep it */
  if (lua_isnil(L, -1)) return 0;
  taskname_push(L, -1);
  if (lua_type(L, -1) != LUA_TSTRING) return 0;
  size_t size;
  const char *name = lua_tolstring(L, -1, &size);
  add(line, name, size < MOST_SOURCE ? size : MOST_SOURCE);
  return 0;
}

static void add_task_name(struct braid_buffer *line, struct sched *sched, lua_State *L) {
  braid_buffer_append(line, "\t", 1);
  if (!L || !sched->current->co || !lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, add_task);
  lua_pushlightuserdata(L, line);
  lua_pushlightuserdata(L, sched);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* `leaf`: what stands above the frames of L, which begin at `level`; NULL: nothing. */
static void tell(struct sched *sched, lua_State *L, int level, unsigned ticks, const char *leaf) {
  struct braid_buffer line;
  braid_buffer_init(&line);
  braid_sampler_begin(&sched->state, &line, ticks);
  add_task_name(&line, sched, L);
  if (leaf) add_special(&line, leaf);
  if (L) add_frames(&line, L, level);
  if (L && sched->running && sched->running != L)
    add_frames(&line, sched->running, 0); /* L is a coroutine of its code */
  braid_buffer_append(&line, "\n", 1);
  braid_sampler_tell(&sched->state, &line);
  braid_buffer_term(&line);
}

void sample_take(struct sched *sched, lua_State *L, int level) {
  atomic_fetch_and(&sched->state.asked, ~(unsigned)BRAID_STATE_SAMPLE);
  unsigned ticks = braid_sampler_ticks(&sched->state);
  if (ticks > 0) tell(sched, L, level, ticks, L ? NULL : "(event loop)");
}

void sample_kernel(struct sched *sched, lua_State *L, const char *name, int64_t began) {
  unsigned rate = atomic_load_explicit(&sched->state.sampling.rate, memory_order_relaxed);
  if (rate == 0 || began == 0) return;
  int64_t period = BRAID_SECOND / rate, ticks = (braid_clock_now() - began + period / 2) / period;
  if (ticks <= 0 || ticks > UINT32_MAX) return;
  char leaf[64];
  snprintf(leaf, sizeof leaf, "(kernel %s)", name);
  tell(sched, L, 0, (unsigned)ticks, leaf);
}

/* BRAID_PROFILE is the number of the socket to which a process sends its profile from its start on. */
static void begin(void) {
  const char *wanted = getenv("BRAID_PROFILE");
  braid_answer_profiles(braid_sampler_start);
  if (wanted && *wanted) braid_sampler_send_to((unsigned)strtoul(wanted, NULL, 16));
}

void lsample_open(lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)L;
  pthread_once(&once, begin);
}
