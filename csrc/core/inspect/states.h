/* SPDX-License-Identifier: MIT
 * All states of this process that have a loop, so that each can tell what it does. A state answers on its own thread,
 * when it next looks at what it was asked. This file knows only a state's thread, not its Lua. */
#ifndef BRAID_STATES_H
#define BRAID_STATES_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/inspect/deadlocks.h"
#include "core/inspect/sampling.h"
#include "core/loop/loop.h"

/* The data of deadlocks.c. */
enum { BRAID_CHECKER_REPORTED = 1024 };
struct braid_checker {
  pthread_mutex_t mutex, looking; /* `looking` is held by who looks; `mutex` guards the fields up to `more` */
  pthread_cond_t hinted;
  bool started;
  int64_t due;                               /* when to look */
  int64_t looked;                            /* when the last look ended */
  bool still;                                /* the hint was of a state that does nothing else */
  int more;                                  /* looks that still follow a hint */
  int64_t pause;                             /* ns until the next of them */
  int64_t told;                              /* when the parent was last asked to look; under `looking`, as the next */
  uint64_t reported[BRAID_CHECKER_REPORTED]; /* waits that were reported */
  atomic_bool stands;                        /* a deadlock stood at the last look */
  atomic_int mode;                           /* enum braid_deadlock_mode */
  struct braid_deadlock_ties ties;           /* written once */
};

enum braid_state_question {
  BRAID_STATE_TELL = 1,   /* what it does; the answer is braid_state_tell */
  BRAID_STATE_SLOW = 2,   /* which step holds its loop */
  BRAID_STATE_WAITS = 4,  /* what its tasks wait for; the answer is braid_state_tell_waits */
  BRAID_STATE_DOOM = 8,   /* whether a wait is to end: braid_state_take_doom */
  BRAID_STATE_COUNT = 16, /* its numbers; the answer is braid_state_tell */
  BRAID_STATE_SAMPLE = 32 /* what runs now, for a profile: see sampler.h */
};

/* A wait that is to end with an error, because it is a part of a deadlock. */
struct braid_doom {
  uint64_t task;
  uint32_t since;
  char *text; /* what the error says; owned; NULL: there is none */
};

struct braid_state {
  atomic_uint asked;      /* enum braid_state_question; the state clears what it answers */
  struct braid_list link; /* the registry's mutex guards this and the fields below */
  pthread_t thread;
  int thread_number;
  char name[96]; /* "script", "worker 2 of pool NAME"; its own thread writes it, and reads it without the mutex */
  atomic_llong asked_at;      /* when it was last asked for an answer */
  bool awaited;               /* a thread waits for its answer */
  struct braid_buffer told;   /* the answer */
  bool waits_told, waits_due; /* it was asked what it waits for; it has not answered */
  struct braid_buffer waits;  /* what it told last */
  struct braid_doom doom;
  unsigned seen; /* how many threads look at it now */
  struct braid_loop *loop;
  struct braid_sampling sampling;
};

/* ---- the state's own thread ---- */

/* Registers the state, under the name "script". Does not block. */
void braid_state_enter(struct braid_state *state, struct braid_loop *loop);

/* Removes the state; does nothing when it is not registered. Blocks while a thread looks at it. */
void braid_state_leave(struct braid_state *state);

/* Sets the name under which it answers. */
void braid_state_name(struct braid_state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Answers what the state does, if it was asked. Takes the text over and leaves it empty. */
void braid_state_tell(struct braid_state *state, struct braid_buffer *text);

/* Answers what the state's tasks wait for (wait_record.h). Takes the list over and leaves it empty. As long as the
 * state rests, it is not asked again. */
void braid_state_tell_waits(struct braid_state *state, struct braid_buffer *list);

/* The state is about to run. */
static inline void braid_state_stir(struct braid_state *state) {
  if (atomic_load_explicit(&state->loop->rests, memory_order_relaxed)) atomic_store(&state->loop->rests, false);
}

/* Returns the wait that is to end, and forgets it. The caller owns the text. */
struct braid_doom braid_state_take_doom(struct braid_state *state);

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

/* Appends the numbers of all states that do not compute. Blocks for 0.03 s, or while another thread asks. */
void braid_states_count(struct braid_buffer *text);

/* Appends what the tasks of all states wait for, each with a record of its state; states that compute are left out.
 * With `anew` it also asks states that rest. Returns how many states there are. Blocks for 0.03 s at most; one thread
 * at a time. */
unsigned braid_states_waits(struct braid_buffer *list, bool anew);

/* Has the state with this address end a wait. Takes the text over. */
void braid_states_doom(uint64_t address, struct braid_doom doom);

struct braid_checker *braid_states_checker(void);

/* A profile of the process begins; false: another one runs. */
bool braid_states_begin_profile(void);
void braid_states_end_profile(void);

#endif
