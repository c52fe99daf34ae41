/* SPDX-License-Identifier: MIT
 * The states of this process that have a scheduler, so that one can tell what all of them do: for braid.dump, SIGQUIT
 * and the watchdog. A state tells of itself on its own thread: in its loop's turn, or in a hook while it computes. */
#ifndef BRAID_LSTATES_H
#define BRAID_LSTATES_H

#include "core/base/buffer.h"
#include "lua/sched/lsched.h"

struct states_entry {
  struct braid_list link; /* guarded by the mutex of all states, as is the rest but for what sched itself guards */
  struct sched *sched;    /* NULL: the state has closed */
  pthread_t thread;
  int tid;
  char name[96];                      /* "script", "worker 2 of pool NAME" */
  bool mute;                          /* it is not asked */
  bool tells;                         /* somebody waits for its answer ... */
  struct braid_buffer told;           /* ... which this is */
  struct states_entry *_Atomic below; /* another one of the same thread; the thread's own */
  uint64_t step;                      /* the watchdog's: the step that it saw last ... */
  struct task *task;                  /* ... whose it is ... */
  int64_t since;                      /* ... and since when */
  uint8_t complaints;                 /* about that step */
};

/* What the state is, for readers. The state's thread. */
void states_name(struct sched *sched, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In a hook of a state that computes: tells what it was asked for. */
void states_attend(struct sched *sched);

/* The state will not come back to Lua before its end: that of a worker process's interpreter. The state's thread. */
void states_mute(struct sched *sched);

/* Calls `visit` for every state. Any thread; blocks while another one visits. No state closes meanwhile. */
void states_visit(void (*visit)(struct states_entry *entry, void *context), void *context);

/* A signal that makes a state's thread look up from its computing. From within states_visit. */
void states_poke(struct states_entry *entry);

#endif
