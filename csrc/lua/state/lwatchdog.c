/* SPDX-License-Identifier: MIT
 * BRAID_DEBUG=1 starts a thread that reports each step of a task that holds its loop for more than 0.1 s, while it
 * still does. It only observes and never changes what the program does. It runs until the process ends.
 *
 * First it asks the state to report the step itself, from a hook. If no hook runs, because the step is in a C function,
 * the watchdog reads the frames of the coroutine from its own thread. That is a data race. It is allowed only in this
 * mode, and only after no Lua has run for 50 ms. */
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
  LOOK = 20 * 1000 * 1000,   /* ns between two checks */
  SLOW = 100 * 1000 * 1000,  /* ns after which a step is asked to report itself */
  STUCK = 150 * 1000 * 1000, /* ns after which the watchdog reads the frames itself */
};

/* Reports the innermost frame of the user's code, in a coroutine that is stuck. */
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

/* A step is identified by its task, its number in the turn, and the time when the turn began. */
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
