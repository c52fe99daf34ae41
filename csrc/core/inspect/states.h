/* SPDX-License-Identifier: MIT
 * All states of this process that have a loop, so that each can tell what it does. A state answers on its own thread,
 * when it next looks at what it was asked. This file knows only a state's thread, not its Lua. */
#ifndef BRAID_STATES_H
#define BRAID_STATES_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/loop/wakeup.h"

enum braid_state_question {
  BRAID_STATE_TELL = 1, /* what it does; the answer is braid_state_tell */
  BRAID_STATE_SLOW = 2  /* which step holds its loop */
};

struct braid_state {
  atomic_uint asked;      /* enum braid_state_question; the state clears what it answers */
  struct braid_list link; /* the registry's mutex guards this and the fields below */
  pthread_t thread;
  int thread_number;
  char name[96]; /* "script", "worker 2 of pool NAME"; its own thread writes it, and reads it without the mutex */
  bool mute;     /* it is not asked what it does */
  bool awaited;  /* a thread waits for its answer */
  struct braid_buffer told; /* the answer */
  unsigned seen;            /* how many threads look at it now */
  struct braid_wakeup *wakeup;
};

/* ---- the state's own thread ---- */

/* Registers the state, under the name "script". `wakeup` is its loop's. Does not block. */
void braid_state_enter(struct braid_state *state, struct braid_wakeup *wakeup);

/* Removes the state; does nothing when it is not registered. Blocks while a thread looks at it. */
void braid_state_leave(struct braid_state *state);

/* Sets the name under which it answers. */
void braid_state_name(struct braid_state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* From here on it is not asked: it cannot answer any more before its end. */
void braid_state_mute(struct braid_state *state);

/* Answers what the state does, if it was asked. Takes the text over and leaves it empty. */
void braid_state_tell(struct braid_state *state, struct braid_buffer *text);

/* ---- any thread ---- */

/* Interrupts the state's thread, so that it looks at what it was asked. The state must be registered. */
void braid_state_poke(struct braid_state *state);

/* Iterates over all states: pass NULL, then the last result, until the result is NULL. A returned state stays
 * registered until the next call. Blocks only for a moment. */
struct braid_state *braid_states_next(struct braid_state *state);

/* Appends what every state does, except the one of thread `except` (NULL: none). A state that does not answer, because
 * it is inside a C function, is only named. Blocks for 0.25 s at most. False, at once, while another thread asks. */
bool braid_states_ask(struct braid_buffer *text, const pthread_t *except);

/* The same for all states. Waits while another thread asks. For threads that have no state. */
void braid_states_tell(struct braid_buffer *text);

/* From the first call on other processes are answered what all states do, and SIGQUIT; and states can be poked. */
void braid_states_answer(void);

#endif
