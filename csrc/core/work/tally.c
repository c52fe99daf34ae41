/* SPDX-License-Identifier: MIT
 * A list of all tallies of the process. It only grows, so a signal handler can walk it at any time. The next pool
 * reuses a tally that is closed. */
#include "core/work/tally.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FREE, TAKEN, OPEN }; /* TAKEN: its owner fills it in; others skip it */

enum { GAP = 128 }; /* bytes between what submitters write and what workers write, so that they share no cache line */

struct braid_tally {
  struct braid_tally *next; /* never changes while it is in the list */
  atomic_uchar state;
  char kind[16], name[40];
  char gap[GAP];
  atomic_ullong total; /* jobs ever counted */
  char gap_between[GAP];
  atomic_ullong ended; /* of these, those that have ended */
};

static struct {
  _Atomic(struct braid_tally *) first;
  atomic_bool told;
  atomic_int process; /* its id; a forked copy reports nothing */
} tallies;

static void tell_at_exit(void) {
  if (getpid() == atomic_load(&tallies.process)) braid_tally_tell();
}

static struct braid_tally *take_free(void) {
  for (struct braid_tally *at = atomic_load(&tallies.first); at; at = at->next) {
    unsigned char is_free = FREE;
    if (atomic_compare_exchange_strong(&at->state, &is_free, TAKEN)) return at;
  }
  return NULL;
}

static struct braid_tally *make(void) {
  struct braid_tally *tally = calloc(1, sizeof *tally);
  if (!tally) return NULL;
  atomic_store(&tally->state, TAKEN);
  tally->next = atomic_load(&tallies.first);
  while (!atomic_compare_exchange_weak(&tallies.first, &tally->next, tally)) {
  }
  int nobody = 0;
  if (atomic_compare_exchange_strong(&tallies.process, &nobody, getpid())) atexit(tell_at_exit);
  return tally;
}

struct braid_tally *braid_tally_open(const char *kind, const char *name) {
  struct braid_tally *tally = take_free();
  if (!tally) tally = make();
  if (!tally) return NULL;
  strncpy(tally->kind, kind, sizeof tally->kind - 1);
  strncpy(tally->name, name, sizeof tally->name - 1);
  atomic_store(&tally->ended, atomic_load(&tally->total));
  atomic_store(&tally->state, OPEN);
  return tally;
}

void braid_tally_close(struct braid_tally *tally) { atomic_store(&tally->state, FREE); }

void braid_tally_add(struct braid_tally *tally) { atomic_fetch_add(&tally->total, 1); }

void braid_tally_remove(struct braid_tally *tally) { atomic_fetch_add(&tally->ended, 1); }

/* First what has ended: a job ends after it was counted, so this is never too low. */
unsigned braid_tally_count(const struct braid_tally *tally) {
  unsigned long long ended = atomic_load(&tally->ended);
  return (unsigned)(atomic_load(&tally->total) - ended);
}

uint64_t braid_tally_total(const struct braid_tally *tally) { return atomic_load(&tally->total); }

uint64_t braid_tally_ended(const struct braid_tally *tally) { return atomic_load(&tally->ended); }

/* ---- the report, with async-signal-safe functions only -------------------------------------------------------- */

struct line {
  char text[160];
  size_t size;
};

static void add(struct line *line, const char *text) {
  for (; *text && line->size < sizeof line->text; text++)
    line->text[line->size++] = (unsigned char)*text < ' ' || *text == 127 ? '?' : *text;
}

static void add_number(struct line *line, unsigned number) {
  char digits[12], *at = digits + sizeof digits - 1;
  *at = '\0';
  do *--at = (char)('0' + number % 10);
  while (number /= 10);
  add(line, at);
}

static void tell(const struct braid_tally *tally, unsigned count) {
  struct line line = {.size = 0};
  add(&line, *tally->name ? "braid: pool '" : "braid: a pool without a name");
  add(&line, tally->name);
  add(&line, *tally->name ? "' (" : " (");
  add(&line, tally->kind);
  add(&line, "): ");
  add_number(&line, count);
  add(&line, count == 1 ? " job was dropped" : " jobs were dropped");
  line.text[line.size < sizeof line.text ? line.size++ : sizeof line.text - 1] = '\n';
  if (write(STDERR_FILENO, line.text, line.size) < 0) return; /* nobody can read it */
}

void braid_tally_tell(void) {
  if (atomic_exchange(&tallies.told, true)) return;
  for (struct braid_tally *at = atomic_load(&tallies.first); at; at = at->next) {
    unsigned count = braid_tally_count(at);
    if (atomic_load(&at->state) == OPEN && count > 0) tell(at, count);
  }
}
