/* SPDX-License-Identifier: MIT
 * Each state owns its entry. No callback runs while `mutex` is held. A thread holds `asking` while it waits for
 * answers; no thread that has to answer takes it. */
#include "core/inspect/states.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/base/visible.h"
#include "core/inspect/answer.h"
#include "core/inspect/poke.h"

enum { LOOK = 1000 /* us */, PATIENCE = 250, SHORT_PATIENCE = 30 /* looks */ };

static struct {
  pthread_mutex_t asking; /* one thread asks at a time */
  pthread_mutex_t mutex;
  pthread_cond_t left_alone; /* nobody looks at some state any more */
  struct braid_list entries;
  int missing; /* answers that have not come */
  struct braid_checker checker;
  atomic_bool profiled; /* a profile runs */
} states = {.asking = PTHREAD_MUTEX_INITIALIZER,
            .mutex = PTHREAD_MUTEX_INITIALIZER,
            .left_alone = PTHREAD_COND_INITIALIZER,
            .entries = {&states.entries, &states.entries},
            .checker = {.mutex = PTHREAD_MUTEX_INITIALIZER, .looking = PTHREAD_MUTEX_INITIALIZER, .due = BRAID_NEVER}};

struct braid_checker *braid_states_checker(void) {
  return &states.checker;
}

static struct braid_state *entry_at(struct braid_list *link) { return braid_container(link, struct braid_state, link); }

/* ---- the state's own thread ----------------------------------------------------------------------------------- */

void braid_state_enter(struct braid_state *state, struct braid_loop *loop) {
  state->thread = pthread_self();
  state->thread_number = braid_thread_number();
  state->loop = loop;
  braid_buffer_init(&state->told);
  braid_buffer_init(&state->waits);
  braid_buffer_init(&state->sampling.lines);
  pthread_mutex_init(&state->sampling.mutex, NULL);
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
  braid_buffer_term(&state->waits);
  free(state->doom.text);
  state->doom.text = NULL;
  braid_buffer_term(&state->sampling.lines);
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

void braid_state_tell_waits(struct braid_state *state, struct braid_buffer *list) {
  pthread_mutex_lock(&states.mutex);
  braid_buffer_term(&state->waits);
  state->waits = *list;
  state->waits_due = false;
  atomic_store(&state->loop->rests, true);
  pthread_mutex_unlock(&states.mutex);
  braid_buffer_init(list);
}

struct braid_doom braid_state_take_doom(struct braid_state *state) {
  pthread_mutex_lock(&states.mutex);
  struct braid_doom doom = state->doom;
  state->doom = (struct braid_doom){0};
  pthread_mutex_unlock(&states.mutex);
  return doom;
}

/* ---- any thread ----------------------------------------------------------------------------------------------- */

void braid_state_poke(struct braid_state *state) {
  braid_wakeup_signal(&state->loop->wakeup);
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

/* Under `mutex`, as is take_answers. A state that computes answers only if it is poked. */
static void ask_all(const pthread_t *except, enum braid_state_question question) {
  states.missing = 0;
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct braid_state *state = entry_at(at);
    if (except && pthread_equal(state->thread, *except)) continue;
    state->awaited = true;
    states.missing++;
    atomic_store(&state->asked_at, braid_clock_now());
    atomic_fetch_or(&state->asked, (unsigned)question);
    if (question == BRAID_STATE_TELL)
      braid_state_poke(state);
    else
      braid_wakeup_signal(&state->loop->wakeup);
  }
}

/* Called when all states have answered or the time is up. */
static void take_answers(struct braid_buffer *text,
                         void (*tell_silent)(const struct braid_state *state, struct braid_buffer *text)) {
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct braid_state *state = entry_at(at);
    if (state->awaited) tell_silent(state, text);
    state->awaited = false;
    braid_buffer_append(text, state->told.data, state->told.size);
    braid_buffer_term(&state->told);
  }
}

/* The caller holds `asking`, which it gives up. */
static void ask(struct braid_buffer *text, const pthread_t *except, enum braid_state_question question, int looks,
                void (*tell_silent)(const struct braid_state *state, struct braid_buffer *text)) {
  pthread_mutex_lock(&states.mutex);
  ask_all(except, question);
  for (; states.missing > 0 && looks > 0; looks--) {
    pthread_mutex_unlock(&states.mutex);
    usleep(LOOK);
    pthread_mutex_lock(&states.mutex);
  }
  take_answers(text, tell_silent);
  pthread_mutex_unlock(&states.mutex);
  pthread_mutex_unlock(&states.asking);
}

static void tell_stuck(const struct braid_state *state, struct braid_buffer *text) {
  braid_visible_format(text, "%s (thread %d): inside a C function, or starting\n", state->name, state->thread_number);
}

bool braid_states_ask(struct braid_buffer *text, const pthread_t *except) {
  if (pthread_mutex_trylock(&states.asking)) return false;
  ask(text, except, BRAID_STATE_TELL, PATIENCE, tell_stuck);
  return true;
}

void braid_states_tell(struct braid_buffer *text) {
  while (!braid_states_ask(text, NULL)) usleep(LOOK);
}

/* Fields with tabs between them: see lcounts.c. */
static void tell_busy(const struct braid_state *state, struct braid_buffer *text) {
  char rest[64];
  braid_buffer_append(text, "loop\t", 5);
  braid_visible_append(text, state->name, strlen(state->name), false);
  snprintf(rest, sizeof rest, "\t%d\tbusy\n", state->thread_number);
  braid_buffer_append(text, rest, strlen(rest));
}

void braid_states_count(struct braid_buffer *text) {
  pthread_mutex_lock(&states.asking);
  ask(text, NULL, BRAID_STATE_COUNT, SHORT_PATIENCE, tell_busy);
}

/* ---- profiles ------------------------------------------------------------------------------------------------- */

bool braid_states_begin_profile(void) { return !atomic_exchange(&states.profiled, true); }

void braid_states_end_profile(void) { atomic_store(&states.profiled, false); }

/* ---- waits ---------------------------------------------------------------------------------------------------- */

/* Whether what it has told is still so. A thread that has ended one of its waits meanwhile has sent mail. */
static bool rests(const struct braid_state *state) {
  return !atomic_load(&state->loop->mail) && atomic_load(&state->loop->rests);
}

/* Under `mutex`, as the next two. Returns how many states there are. */
static unsigned ask_for_waits(bool anew) {
  unsigned count = 0;
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next, count++) {
    struct braid_state *state = entry_at(at);
    state->waits_due = anew || !rests(state);
    state->waits_told = state->waits_due;
    if (!state->waits_due) continue;
    atomic_fetch_or(&state->asked, BRAID_STATE_WAITS);
    braid_wakeup_signal(&state->loop->wakeup); /* no signal: who computes need not tell */
  }
  return count;
}

static bool are_waits_due(void) {
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next)
    if (entry_at(at)->waits_due) return true;
  return false;
}

static void take_waits(struct braid_buffer *list) {
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct braid_state *state = entry_at(at);
    bool told = state->waits_told ? !state->waits_due : rests(state);
    if (told) braid_buffer_append(list, state->waits.data, state->waits.size);
    state->waits_due = false;
  }
}

unsigned braid_states_waits(struct braid_buffer *list, bool anew) {
  pthread_mutex_lock(&states.mutex);
  unsigned count = ask_for_waits(anew);
  for (int looks = 0; looks < SHORT_PATIENCE && are_waits_due(); looks++) {
    pthread_mutex_unlock(&states.mutex);
    usleep(LOOK);
    pthread_mutex_lock(&states.mutex);
  }
  take_waits(list);
  pthread_mutex_unlock(&states.mutex);
  return count;
}

void braid_states_doom(uint64_t address, struct braid_doom doom) {
  pthread_mutex_lock(&states.mutex);
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct braid_state *state = entry_at(at);
    if ((uint64_t)(uintptr_t)state != address || state->doom.text) continue;
    state->doom = doom;
    doom.text = NULL;
    atomic_fetch_or(&state->asked, BRAID_STATE_DOOM);
    braid_wakeup_signal(&state->loop->wakeup);
  }
  pthread_mutex_unlock(&states.mutex);
  free(doom.text);
}
