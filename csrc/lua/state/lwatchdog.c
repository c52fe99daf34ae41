/* SPDX-License-Identifier: MIT
 * BRAID_DEBUG=1: a thread that names the step of a task that holds its loop for more than 0.1 s, while it is still
 * held. It only looks: a program behaves with it as without it. It ends with the process.
 *
 * First the state is asked to name its step itself, from a hook. Where no hook runs, because the step is inside a C
 * function, the watchdog reads the frames of the stuck coroutine from outside. That is a race by nature; it is entered
 * only when no Lua has run for 50 ms, and only in this mode. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/base/lposition.h"

#if defined(__SANITIZE_THREAD__)
#define RACY __attribute__((no_sanitize("thread")))
#else
#define RACY
#endif

enum {
  LOOK = 20 * 1000 * 1000,   /* ns between two looks */
  SLOW = 100 * 1000 * 1000,  /* a step of this length is asked for its name */
  STUCK = 150 * 1000 * 1000, /* one that has not answered by then is looked at from outside */
};

/* The innermost frame of the user's in a coroutine that stands still. */
RACY static void tell_stuck(struct sched *sched, int64_t held) {
  lua_State *co = sched->running;
  lua_Debug ar;
  for (int level = 0; co && lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sln", &ar);
    if (ar.currentline <= 0 || position_is_ours(&ar)) continue;
    fprintf(stderr, "braid: slow step: %s has been inside a C function for %.2f s, called %s%sat %s:%d\n",
            sched->state.name, (double)held / 1e9, ar.name ? ar.name : "", ar.name ? " " : "", ar.short_src,
            ar.currentline);
    return;
  }
}

/* A step is known by its task, its number in the turn, and the turn's beginning. */
RACY static bool same_step(struct sched *sched) {
  struct watched *watched = &sched->watched;
  uint64_t step = (uint64_t)sched->polled * 64 + sched->steps;
  bool same = watched->step == step && watched->task == sched->current;
  watched->step = step;
  watched->task = sched->current;
  return same && sched->running && sched->current != &sched->tree.script;
}

static void look_at(struct sched *sched, int64_t now) {
  struct watched *watched = &sched->watched;
  if (!same_step(sched)) {
    if (watched->complaints) atomic_fetch_and(&sched->state.asked, ~(unsigned)BRAID_STATE_SLOW);
    watched->since = now;
    watched->complaints = 0;
    return;
  }
  int64_t held = now - watched->since;
  if (held < SLOW) return;
  if (watched->complaints == 0) atomic_fetch_or(&sched->state.asked, BRAID_STATE_SLOW);
  bool answered = !(atomic_load(&sched->state.asked) & BRAID_STATE_SLOW);
  if (answered) return;
  if (held > STUCK && watched->complaints++ == 1) tell_stuck(sched, held);
  if (watched->complaints == 0) watched->complaints = 1;
  braid_state_poke(&sched->state);
}

static void *watch(void *ignored) {
  (void)ignored;
  for (;;) {
    nanosleep(&(struct timespec){.tv_nsec = LOOK}, NULL);
    int64_t now = braid_clock_now();
    for (struct braid_state *state = NULL; (state = braid_states_next(state));)
      look_at(braid_container(state, struct sched, state), now);
  }
  return NULL;
}

static void start(void) {
  const char *wanted = getenv("BRAID_DEBUG");
  pthread_t thread;
  if (!wanted || !*wanted || *wanted == '0') return;
  if (braid_thread_start(&thread, watch, NULL) == 0) pthread_detach(thread);
}

/* Any thread that runs Lua. */
void lwatchdog_open(lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)L;
  pthread_once(&once, start);
}
