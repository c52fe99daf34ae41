/* SPDX-License-Identifier: MIT
 * The states of this process that have a loop, so that one can tell what all of them do. A state tells of itself, on
 * its own thread: when it has looked at what it was asked. Nothing here knows what a state is but its thread. */
#ifndef BRAID_STATES_H
#define BRAID_STATES_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/loop/wakeup.h"

enum braid_state_question {
  BRAID_STATE_TELL = 1, /* what it does: it answers with braid_state_tell */
  BRAID_STATE_SLOW = 2  /* which step holds its loop */
};

struct braid_state {
  atomic_uint asked;      /* enum braid_state_question; whoever answers takes them out */
  struct braid_list link; /* guarded by the registry's mutex, as is what follows */
  pthread_t thread;
  int thread_number;
  char name[96]; /* "script", "worker 2 of pool NAME"; written by the state's thread only, which reads it without */
  bool mute;     /* it is not asked to tell */
  bool awaited;  /* somebody waits for what it tells ... */
  struct braid_buffer told; /* ... which this is */
  unsigned seen;            /* how many look at it just now */
  struct braid_wakeup *wakeup;
};

/* ---- the state's own thread ---- */

/* The state is known from here on, as "script"; the bell is its loop's. Does not block. */
void braid_state_enter(struct braid_state *state, struct braid_wakeup *wakeup);

/* It is not known any more. Nothing happens when it was not. Blocks while somebody looks at it. */
void braid_state_leave(struct braid_state *state);

/* What it is, for readers. */
void braid_state_name(struct braid_state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* It will not come back to answer before its end. */
void braid_state_mute(struct braid_state *state);

/* What it does, when it was asked to tell: empties the text. */
void braid_state_tell(struct braid_state *state, struct braid_buffer *text);

/* ---- any thread ---- */

/* Makes the state's thread look up from its computing, and see what it is asked. While the state is known. */
void braid_state_poke(struct braid_state *state);

/* Visits all states: the first with NULL, then the one after that which was visited, until NULL. The one that is
 * returned does not leave meanwhile. Blocks for a moment only. */
struct braid_state *braid_states_next(struct braid_state *state);

/* Adds what every state does but those of `except` (NULL: none). Who does not answer, because it is inside a C function
 * that does not return, is named. Blocks for 0.25 s at most. False, at once, while another thread asks. */
bool braid_states_ask(struct braid_buffer *text, const pthread_t *except);

/* The same for all states; waits for its turn. For threads that have no state. */
void braid_states_tell(struct braid_buffer *text);

#endif
