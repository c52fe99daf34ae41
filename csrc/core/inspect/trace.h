/* SPDX-License-Identifier: MIT
 * What happened when: steps of tasks, jobs that are submitted, run and come home, in all threads of the process. One
 * log for the process. Off it costs a look at a flag. It ends when memory is out. */
#ifndef BRAID_TRACE_H
#define BRAID_TRACE_H

#include <stdatomic.h>

#include "core/base/base.h"

enum braid_trace_kind {
  BRAID_TRACE_NAME, /* what something is called from now on */
  BRAID_TRACE_STEP, /* a task's step begins ... */
  BRAID_TRACE_PARK, /* ... and ends */
  BRAID_TRACE_SUBMIT,
  BRAID_TRACE_RUN,  /* a worker begins a job ... */
  BRAID_TRACE_DONE, /* ... and ends it */
  BRAID_TRACE_HOME  /* its reply has arrived */
};

struct braid_trace_event {
  int64_t time;
  const void *whose;
  int32_t track; /* the thread, or minus the process */
  uint8_t kind;  /* enum braid_trace_kind */
  char name[43];
};

extern atomic_bool braid_trace_on;

static inline bool braid_trace_is_on(void) { return atomic_load_explicit(&braid_trace_on, memory_order_relaxed); }

/* Empties the log and begins it. False when it is on already. Any thread, as with all of these; they block while
 * another one writes. */
bool braid_trace_start(void);

/* Nothing is written down from here on. */
void braid_trace_stop(void);

/* The i-th event of the log, from 0, while it is off; false when there is none. */
bool braid_trace_read(size_t i, struct braid_trace_event *event);

/* Writes it down. `whose`: the address of a task or a job; the name is cut to what the event has room for. */
void braid_trace_record(enum braid_trace_kind kind, const void *whose, const char *name);

/* The same at another time (ns), in a process of its own: what a worker process tells of itself. */
void braid_trace_record_of(enum braid_trace_kind kind, const void *whose, int64_t time, int process);

static inline void braid_trace_note(enum braid_trace_kind kind, const void *whose) {
  if (braid_trace_is_on()) braid_trace_record(kind, whose, NULL);
}

#endif
