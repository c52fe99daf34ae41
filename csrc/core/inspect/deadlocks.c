/* SPDX-License-Identifier: MIT
 * A look takes the waits of all states, twice: a deadlock counts only if nothing in it has moved in between. `looking`
 * is held by who looks. `mutex` guards the dates. The thread never runs Lua. */
#include "core/inspect/deadlocks.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/inspect/question.h"
#include "core/inspect/states.h"
#include "core/inspect/wait_graph.h"

enum { PAUSE = 150 * 1000 /* us between the two halves of a look: longer than a tick of the time of waits */ };
static const int64_t AGAIN = BRAID_SECOND, RARELY = 8 * BRAID_SECOND, LONGEST = 16 * BRAID_SECOND;

/* ---- worker processes ----------------------------------------------------------------------------------------- */

/* Asks a process for its waits. Without an answer nothing is appended: then the process counts as one that goes on. */
static void ask_child(struct braid_buffer *list, pid_t pid) {
  enum { LOOKS = 60, PERIOD = 5 /* ms */, AGAIN_AT = 15 };
  struct braid_question question;
  int error = braid_question_open(&question, pid);
  if (!error) error = braid_question_ask(&question, BRAID_QUESTION_WAITS);
  for (int i = 0; !error && i < LOOKS; i++) {
    error = braid_question_look(&question);
    if (error == 0) braid_buffer_append(list, question.text.data, question.text.size);
    if (error != EAGAIN) break;
    if (question.connection < 0 && i % AGAIN_AT == AGAIN_AT - 1) braid_question_ask(&question, BRAID_QUESTION_WAITS);
    int fd = question.connection >= 0 ? question.connection : question.listener;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    poll(&ready, 1, PERIOD);
    error = 0;
  }
  braid_question_close(&question);
}

/* Children are named in the list itself; a child's own list names its children. Who has children tells again after
 * them: what they had sent before they told has taken effect then. */
static void ask_children(struct braid_buffer *list) {
  size_t own = list->size, direct = 0;
  struct braid_buffer found; /* pid_t */
  braid_buffer_init(&found);
  for (size_t at = 0; at + sizeof(struct braid_wait_record) <= list->size;) {
    struct braid_wait_record record;
    memcpy(&record, list->data + at, sizeof record);
    if (record.kind == BRAID_WAIT_CHILD) {
      pid_t pid = (pid_t)record.who;
      if (at < own) direct++;
      braid_buffer_append(&found, &pid, sizeof pid);
      ask_child(list, pid);
    }
    at += braid_wait_record_size(&record);
  }
  const pid_t *pids = (const pid_t *)(const void *)found.data;
  size_t count = found.size / sizeof *pids;
  if (count > direct) {
    list->size = own;
    while (count > 0) ask_child(list, pids[--count]);
  }
  braid_buffer_term(&found);
}

/* ---- a look --------------------------------------------------------------------------------------------------- */

static void collect(struct braid_buffer *list, bool anew) {
  struct braid_checker *self = braid_states_checker();
  if (self->ties.settle && !self->ties.settle()) return;
  size_t start = list->size;
  struct braid_wait_record header = {.kind = BRAID_WAIT_PROCESS, .who = (uint64_t)getpid()};
  braid_wait_record_add(list, header);
  if (list->size == start) return;
  header.count = braid_states_waits(list, anew);
  memcpy(list->data + start, &header, sizeof header);
  if (self->ties.exports) self->ties.exports(list);
}

/* This process tells last: what its children had sent before they answered has taken effect then. */
static void collect_all(struct braid_buffer *list, bool anew) {
  struct braid_buffer first;
  braid_buffer_init(&first);
  collect(&first, anew);
  size_t own = first.size;
  ask_children(&first);
  if (first.size > own) {
    braid_buffer_append(list, first.data + own, first.size - own);
    collect(list, false);
    braid_buffer_term(&first);
  } else {
    *list = first;
  }
}

/* Whether all states of all processes have told. */
static bool is_whole(const struct braid_buffer *list) {
  int64_t missing = 1; /* this process, then states, and children */
  for (size_t at = 0; at + sizeof(struct braid_wait_record) <= list->size;) {
    struct braid_wait_record record;
    memcpy(&record, list->data + at, sizeof record);
    at += braid_wait_record_size(&record);
    if (record.kind == BRAID_WAIT_PROCESS) missing += (int64_t)record.count - 1;
    if (record.kind == BRAID_WAIT_STATE) missing--;
    if (record.kind == BRAID_WAIT_CHILD) missing++;
  }
  return missing <= 0;
}

struct look {
  struct braid_buffer before, now;
  bool whole;                     /* nobody was too slow to tell */
  struct braid_wait_stuck *stuck; /* refers to `now` */
  size_t count;
};

static void look_init(struct look *look) {
  *look = (struct look){0};
  braid_buffer_init(&look->before);
  braid_buffer_init(&look->now);
}

static void look_term(struct look *look) {
  free(look->stuck);
  braid_buffer_term(&look->before);
  braid_buffer_term(&look->now);
}

/* Finds the deadlocks that stand. `anew`: also wakes states that rest. */
static void take_look(struct look *look, bool anew) {
  size_t count;
  collect_all(&look->before, anew);
  struct braid_wait_stuck *guess = braid_wait_graph_find(&look->before, &look->before, &count);
  free(guess);
  look->whole = is_whole(&look->before);
  if (count == 0) return;
  usleep(PAUSE);
  collect_all(&look->now, false);
  look->whole = look->whole && is_whole(&look->now);
  look->stuck = braid_wait_graph_find(&look->now, &look->before, &look->count);
}

/* ---- what is told --------------------------------------------------------------------------------------------- */

/* A text is what a task is called, a tab, and what it does. */
static int label_size(const struct braid_wait_record *text) {
  const char *start = (const char *)(text + 1), *tab = memchr(start, '\t', text->count);
  return (int)(tab ? tab - start : (ptrdiff_t)text->count);
}

static void add(struct braid_buffer *text, const char *bytes, int size) {
  braid_buffer_append(text, bytes, size < 0 ? strlen(bytes) : (size_t)size);
}

static void tell_process(struct braid_buffer *text, const struct braid_wait_stuck *stuck) {
  char process[48];
  if (stuck->process == (uint64_t)getpid()) return;
  snprintf(process, sizeof process, "process %llu, ", (unsigned long long)stuck->process);
  add(text, process, -1);
}

static void tell_label(struct braid_buffer *text, const struct braid_wait_stuck *stuck) {
  tell_process(text, stuck);
  if (stuck->text)
    add(text, (const char *)(stuck->text + 1), label_size(stuck->text));
  else
    add(text, "a task", -1);
}

static void tell_whom(struct braid_buffer *text, const struct braid_wait_stuck *stuck,
                      const struct braid_wait_stuck *other) {
  switch (stuck->kind) {
    case BRAID_WAIT_FOR_LOCK:
    case BRAID_WAIT_FOR_FAR_LOCK: add(text, ", for the lock that is held by ", -1); break;
    case BRAID_WAIT_FOR_JOB:
    case BRAID_WAIT_FOR_FAR_JOB: add(text, ", for the job of ", -1); break;
    default: add(text, ", for the end of ", -1);
  }
  tell_label(text, other);
}

static void tell_time(struct braid_buffer *text, const struct braid_wait_stuck *stuck) {
  char words[48];
  uint32_t ticks = ((uint32_t)(braid_clock_now() >> BRAID_WAIT_TICK) - stuck->since) & BRAID_WAIT_TICKS;
  snprintf(words, sizeof words, ", for %.1f s", (double)((int64_t)ticks << BRAID_WAIT_TICK) / (double)BRAID_SECOND);
  add(text, words, -1);
}

static void tell_stuck(struct braid_buffer *text, const struct look *look, const struct braid_wait_stuck *stuck) {
  add(text, "  ", -1);
  tell_label(text, stuck);
  if (stuck->text) {
    int label = label_size(stuck->text);
    add(text, ": ", -1);
    add(text, (const char *)(stuck->text + 1) + label + 1, (int)stuck->text->count - label - 1);
  }
  tell_time(text, stuck);
  if (stuck->for_whom < look->count) tell_whom(text, stuck, &look->stuck[stuck->for_whom]);
  if (stuck->kind == BRAID_WAIT_FOR_POOL) add(text, ", for a worker that is free", -1);
  add(text, "\n", -1);
}

/* Who only waits for tasks inside is left out, unless others wait for it. */
static bool is_told(const struct look *look, size_t which) {
  if (look->stuck[which].kind != BRAID_WAIT_FOR_SCOPE) return true;
  for (size_t i = 0; i < look->count; i++)
    if (look->stuck[i].for_whom == which) return true;
  return false;
}

static void tell_all(struct braid_buffer *text, const struct look *look) {
  enum { MOST = 30 };
  char words[96];
  size_t lines = 0;
  for (size_t i = 0; i < look->count && i < MOST * MOST; i++)
    if (is_told(look, i) && lines++ < MOST) tell_stuck(text, look, &look->stuck[i]);
  if (lines <= MOST) return;
  snprintf(words, sizeof words, "  and %zu more\n", lines - MOST);
  add(text, words, -1);
}

void braid_deadlocks_tell(struct braid_buffer *text) {
  struct braid_checker *self = braid_states_checker();
  struct look look;
  if (braid_deadlocks_mode() == BRAID_DEADLOCK_OFF) return;
  look_init(&look);
  pthread_mutex_lock(&self->looking);
  take_look(&look, false);
  atomic_store(&self->stands, look.count > 0);
  pthread_mutex_unlock(&self->looking);
  if (look.count > 0) {
    add(text, "deadlock: nothing can wake these tasks any more\n", -1);
    tell_all(text, &look);
  }
  look_term(&look);
}

bool braid_deadlocks_stand(void) { return atomic_load(&braid_states_checker()->stands); }

void braid_deadlocks_collect(struct braid_buffer *list) { collect(list, false); }

/* ---- what is done --------------------------------------------------------------------------------------------- */

static uint64_t number_of(const struct braid_wait_stuck *stuck) {
  uint64_t mixed = stuck->task * UINT64_C(0x9E3779B97F4A7C15) ^ stuck->process << 20 ^ stuck->since;
  return mixed ? mixed : 1;
}

static bool is_reported(const struct braid_wait_stuck *stuck) {
  struct braid_checker *self = braid_states_checker();
  return self->reported[number_of(stuck) % BRAID_CHECKER_REPORTED] == number_of(stuck);
}

/* Whether this is another deadlock than those that were reported, not just one more task that waits for one of them. */
static bool is_news(const struct look *look, size_t i, bool any_reported) {
  for (size_t steps = 0; steps <= look->count; steps++) {
    if (is_reported(&look->stuck[i])) return false;
    if (look->stuck[i].for_whom >= look->count) return !any_reported;
    i = look->stuck[i].for_whom;
  }
  return true;
}

static bool has_news(const struct look *look) {
  bool any = false, news = false;
  for (size_t i = 0; i < look->count; i++) any = any || is_reported(&look->stuck[i]);
  for (size_t i = 0; i < look->count && !news; i++) news = is_news(look, i, any);
  return news;
}

static void note_reported(const struct look *look) {
  struct braid_checker *self = braid_states_checker();
  for (size_t i = 0; i < look->count; i++)
    self->reported[number_of(&look->stuck[i]) % BRAID_CHECKER_REPORTED] = number_of(&look->stuck[i]);
}

/* Who is best told: a task that waits for a lock; of equals the one that waits for the shortest time. */
static int worth(const struct braid_wait_stuck *stuck) {
  if (stuck->process != (uint64_t)getpid() || (stuck->flags & BRAID_WAIT_FIXED)) return 0;
  switch (stuck->kind) {
    case BRAID_WAIT_FOR_LOCK:
    case BRAID_WAIT_FOR_FAR_LOCK: return 3;
    case BRAID_WAIT_FOR_OBJECT:
    case BRAID_WAIT_FOR_LOCAL:
    case BRAID_WAIT_FOR_FAR_OBJECT: return 2;
    default: return 1;
  }
}

static const struct braid_wait_stuck *choose(const struct look *look) {
  const struct braid_wait_stuck *best = NULL;
  for (size_t i = 0; i < look->count; i++) {
    const struct braid_wait_stuck *stuck = &look->stuck[i];
    if (worth(stuck) == 0 || (best && worth(stuck) < worth(best))) continue;
    if (!best || worth(stuck) > worth(best) || stuck->since > best->since) best = stuck;
  }
  return best;
}

/* False: no wait of this process can be ended. */
static bool raise_one(const struct look *look, const struct braid_buffer *text) {
  const struct braid_wait_stuck *stuck = choose(look);
  if (!stuck) return false;
  struct braid_doom doom = {.task = stuck->task, .since = stuck->since, .text = strndup(text->data, text->size)};
  if (doom.text) braid_states_doom(stuck->state, doom);
  return true;
}

static void report(const struct look *look) {
  struct braid_buffer text;
  braid_buffer_init(&text);
  tell_all(&text, look);
  bool raised = text.data && braid_deadlocks_mode() == BRAID_DEADLOCK_RAISE && raise_one(look, &text);
  if (!raised) note_reported(look);
  if (text.data && !raised)
    fprintf(stderr, "braid: deadlock: nothing can wake these tasks any more:\n%.*s", (int)text.size, text.data);
  braid_buffer_term(&text);
}

/* In a worker process: asks the parent to look. States that go on with other things may suspect something all the time;
 * then it is asked rarely. */
static bool is_worker(bool still) {
  struct braid_checker *self = braid_states_checker();
  if (!self->ties.has_parent) return false;
  int64_t now = braid_clock_now();
  bool ask = still || now - self->told >= RARELY;
  if (ask) self->told = now;
  return self->ties.has_parent(ask);
}

enum finding { NOTHING, TOO_LITTLE, DEADLOCK }; /* TOO_LITTLE: not all have told what they wait for */

/* In a worker process only its parent reports, because only the parent sees all. */
static enum finding look_around(bool anew, bool still) {
  struct braid_checker *self = braid_states_checker();
  struct look look;
  look_init(&look);
  pthread_mutex_lock(&self->looking);
  take_look(&look, anew);
  atomic_store(&self->stands, look.count > 0);
  bool stands = look.count > 0, here = stands && braid_deadlocks_mode() == BRAID_DEADLOCK_RAISE;
  if (!here) here = !is_worker(still);
  if (stands && here && has_news(&look)) report(&look);
  pthread_mutex_unlock(&self->looking);
  look_term(&look);
  return stands ? DEADLOCK : look.whole ? NOTHING : TOO_LITTLE;
}

/* ---- the thread ----------------------------------------------------------------------------------------------- */

/* A look finds nothing while a state is on the way to rest, or is slow to tell. So some more follow a hint; and if not
 * all have told, further ones, ever more rarely, for one that has not told may compute for hours. Under the mutex. */
static void plan(struct braid_checker *self, enum finding finding) {
  if (finding == DEADLOCK || self->due != BRAID_NEVER) return;
  if (finding == NOTHING && self->more-- <= 0) return;
  self->due = self->looked + self->pause;
  self->pause = self->pause * 2 < LONGEST ? self->pause * 2 : LONGEST;
}

static void *run(void *ignored) {
  struct braid_checker *self = braid_states_checker();
  (void)ignored;
  braid_thread_name("braid-deadlocks");
  pthread_mutex_lock(&self->mutex);
  for (;;) {
    while (braid_clock_now() < self->due) braid_thread_condition_wait(&self->hinted, &self->mutex, self->due);
    bool still = self->still, anew = self->pause > AGAIN;
    self->due = BRAID_NEVER;
    self->still = false;
    pthread_mutex_unlock(&self->mutex);
    bool off = braid_deadlocks_mode() == BRAID_DEADLOCK_OFF;
    enum finding finding = off ? NOTHING : look_around(anew, still);
    pthread_mutex_lock(&self->mutex);
    self->looked = braid_clock_now();
    if (!off) plan(self, finding);
  }
  return NULL;
}

static void start(void) {
  struct braid_checker *self = braid_states_checker();
  pthread_t thread;
  braid_thread_condition_init(&self->hinted);
  self->started = true;
  if (braid_thread_start(&thread, run, NULL) == 0) pthread_detach(thread);
}

void braid_deadlocks_suspect(bool still) {
  struct braid_checker *self = braid_states_checker();
  enum { MORE = 2 };
  if (braid_deadlocks_mode() == BRAID_DEADLOCK_OFF) return;
  pthread_mutex_lock(&self->mutex);
  if (!self->started) start();
  self->still = self->still || still;
  self->more = MORE;
  self->pause = AGAIN;
  int64_t next = still ? 0 : self->looked + AGAIN;
  if (next < self->due) self->due = next;
  pthread_cond_signal(&self->hinted);
  pthread_mutex_unlock(&self->mutex);
}

/* ---- settings ------------------------------------------------------------------------------------------------- */

void braid_deadlocks_tie(const struct braid_deadlock_ties *ties) { braid_states_checker()->ties = *ties; }

enum braid_deadlock_mode braid_deadlocks_set(enum braid_deadlock_mode mode) {
  struct braid_checker *self = braid_states_checker();
  return (enum braid_deadlock_mode)atomic_exchange(&self->mode, (int)mode);
}

enum braid_deadlock_mode braid_deadlocks_mode(void) {
  return (enum braid_deadlock_mode)atomic_load(&braid_states_checker()->mode);
}
