/* SPDX-License-Identifier: MIT
 * Each state owns its entry. No callback runs while `mutex` is held. A thread holds `asking` while it waits for
 * answers; no thread that has to answer takes it. */
#include "core/inspect/states.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/base/visible.h"
#include "core/inspect/answer.h"
#include "core/inspect/poke.h"

enum { PATIENCE = BRAID_SECOND / 4, LOOK = 1000 /* us */ };

static struct {
  pthread_mutex_t asking; /* one thread asks at a time */
  pthread_mutex_t mutex;
  pthread_cond_t left_alone; /* nobody looks at some state any more */
  struct braid_list entries;
  int missing; /* answers that have not come */
  pthread_once_t answers;
} states = {.asking = PTHREAD_MUTEX_INITIALIZER,
            .mutex = PTHREAD_MUTEX_INITIALIZER,
            .left_alone = PTHREAD_COND_INITIALIZER,
            .entries = {&states.entries, &states.entries},
            .answers = PTHREAD_ONCE_INIT};

static struct braid_state *entry_at(struct braid_list *link) { return braid_container(link, struct braid_state, link); }

/* ---- the state's own thread ----------------------------------------------------------------------------------- */

void braid_state_enter(struct braid_state *state, struct braid_wakeup *wakeup) {
  state->thread = pthread_self();
  state->thread_number = braid_thread_number();
  state->wakeup = wakeup;
  braid_buffer_init(&state->told);
  snprintf(state->name, sizeof state->name, "script");
  pthread_mutex_lock(&states.mutex);
  braid_list_push(&states.entries, &state->link);
  pthread_mutex_unlock(&states.mutex);
}

void braid_state_leave(struct braid_state *state) {
  pthread_mutex_lock(&states.mutex);
  while (state->seen > 0) pthread_cond_wait(&states.left_alone, &states.mutex);
  if (state->awaited) states.missing--;
  state->awaited = false;
  braid_buffer_term(&state->told);
  if (state->link.next) braid_list_remove(&state->link);
  pthread_mutex_unlock(&states.mutex);
}

void braid_state_name(struct braid_state *state, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&states.mutex);
  vsnprintf(state->name, sizeof state->name, format, arguments);
  pthread_mutex_unlock(&states.mutex);
  va_end(arguments);
}

void braid_state_mute(struct braid_state *state) {
  pthread_mutex_lock(&states.mutex);
  state->mute = true;
  pthread_mutex_unlock(&states.mutex);
}

void braid_state_tell(struct braid_state *state, struct braid_buffer *text) {
  pthread_mutex_lock(&states.mutex);
  if (state->awaited) {
    braid_buffer_term(&state->told);
    state->told = *text;
    state->awaited = false;
    states.missing--;
    braid_buffer_init(text);
  }
  pthread_mutex_unlock(&states.mutex);
  braid_buffer_term(text);
}

/* ---- any thread ----------------------------------------------------------------------------------------------- */

void braid_state_poke(struct braid_state *state) {
  braid_wakeup_signal(state->wakeup);
  if (braid_answer_is_asked()) braid_poke(state->thread);
}

struct braid_state *braid_states_next(struct braid_state *state) {
  pthread_mutex_lock(&states.mutex);
  struct braid_list *next = state ? state->link.next : states.entries.next;
  struct braid_state *found = next == &states.entries ? NULL : entry_at(next);
  if (found) found->seen++;
  if (state && --state->seen == 0) pthread_cond_broadcast(&states.left_alone);
  pthread_mutex_unlock(&states.mutex);
  return found;
}

/* Under `mutex`, as is take_answers. */
static void ask_all(const pthread_t *except) {
  states.missing = 0;
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct braid_state *state = entry_at(at);
    if (state->mute || (except && pthread_equal(state->thread, *except))) continue;
    state->awaited = true;
    states.missing++;
    atomic_fetch_or(&state->asked, BRAID_STATE_TELL);
    braid_state_poke(state);
  }
}

/* Called when all states have answered or the time is up. */
static void take_answers(struct braid_buffer *text) {
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct braid_state *state = entry_at(at);
    if (state->awaited)
      braid_visible_format(text, "%s (thread %d): inside a C function, or starting\n", state->name,
                           state->thread_number);
    state->awaited = false;
    braid_buffer_append(text, state->told.data, state->told.size);
    braid_buffer_term(&state->told);
  }
}

bool braid_states_ask(struct braid_buffer *text, const pthread_t *except) {
  if (pthread_mutex_trylock(&states.asking)) return false;
  int64_t deadline = braid_clock_after((double)PATIENCE / BRAID_SECOND);
  pthread_mutex_lock(&states.mutex);
  ask_all(except);
  while (states.missing > 0 && braid_clock_now() < deadline) {
    pthread_mutex_unlock(&states.mutex);
    usleep(LOOK);
    pthread_mutex_lock(&states.mutex);
  }
  take_answers(text);
  pthread_mutex_unlock(&states.mutex);
  pthread_mutex_unlock(&states.asking);
  return true;
}

void braid_states_tell(struct braid_buffer *text) {
  while (!braid_states_ask(text, NULL)) usleep(LOOK);
}

static void answer(void) { braid_answer_open(braid_states_tell); }

void braid_states_answer(void) { pthread_once(&states.answers, answer); }
