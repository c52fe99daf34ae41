/* SPDX-License-Identifier: MIT
 * The process's log of events: steps of tasks, and jobs that are submitted, run and answered, in all threads. When it
 * is off, an event costs one test of a flag. It stops when memory is out. */
#ifndef BRAID_TRACE_H
#define BRAID_TRACE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/buffer.h"

enum braid_trace_kind {
  BRAID_TRACE_NAME, /* gives a task or job its name */
  BRAID_TRACE_STEP, /* a task's step begins */
  BRAID_TRACE_PARK, /* the step ends */
  BRAID_TRACE_SUBMIT,
  BRAID_TRACE_RUN,        /* a worker begins a job */
  BRAID_TRACE_DONE,       /* the worker has finished it */
  BRAID_TRACE_HOME,       /* its result has arrived at the submitter */
  BRAID_TRACE_KERNEL,     /* a kernel begins, with its name; `whose` is its call */
  BRAID_TRACE_KERNEL_END, /* it has ended */
};

struct braid_trace_event {
  int64_t time;
  const void *whose;
  int32_t track; /* the thread's id, or minus the process's id */
  uint8_t kind;  /* enum braid_trace_kind */
  char name[43];
};

extern struct braid_trace {
  atomic_bool on; /* changed under the mutex, read without */
  pthread_mutex_t mutex;
  struct braid_buffer events;
} braid_trace;

static inline bool braid_trace_is_on(void) { return atomic_load_explicit(&braid_trace.on, memory_order_relaxed); }

/* Empties the log and starts it. False when it is on already, or in a forked process. Any thread, as all functions
 * here; they block while another thread writes an event. */
bool braid_trace_start(void);

/* Stops the log; its events can then be read. */
void braid_trace_stop(void);

/* Copies event `i` (from 0). False when there is none, and while the log is on. */
bool braid_trace_read(size_t i, struct braid_trace_event *event);

/* Adds an event. `whose` is the address of a task or a job. A long name is cut. */
void braid_trace_record(enum braid_trace_kind kind, const void *whose, const char *name);

/* Adds an event of a worker process, at a time (ns) that it tells. */
void braid_trace_record_of(enum braid_trace_kind kind, const void *whose, int64_t time, int process);

static inline void braid_trace_note(enum braid_trace_kind kind, const void *whose) {
  if (braid_trace_is_on()) braid_trace_record(kind, whose, NULL);
}

#endif
