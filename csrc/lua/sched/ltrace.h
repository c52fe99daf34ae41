/* SPDX-License-Identifier: MIT
 * What happened when: steps of tasks, jobs that are submitted, run and come home, in all threads of the process. Off it
 * costs a look at a flag. */
#ifndef BRAID_LTRACE_H
#define BRAID_LTRACE_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum trace_event {
  TRACE_NAME, /* what something is called from now on */
  TRACE_STEP, /* a task's step begins ... */
  TRACE_PARK, /* ... and ends */
  TRACE_SUBMIT,
  TRACE_RUN,  /* a worker begins a job ... */
  TRACE_DONE, /* ... and ends it */
  TRACE_HOME  /* its reply has arrived */
};

extern atomic_bool trace_on;

static inline bool trace_is_on(void) { return atomic_load_explicit(&trace_on, memory_order_relaxed); }

/* Writes it down. `whose`: the address of a task or a job. Any thread; blocks while another one writes. */
void trace_record(enum trace_event what, const void *whose, const char *name);

/* The same at another time (ns), in a process of its own: what a worker process tells of itself. */
void trace_record_of(enum trace_event what, const void *whose, int64_t time, int process);

static inline void trace_note(enum trace_event what, const void *whose) {
  if (trace_is_on()) trace_record(what, whose, NULL);
}

/* Writes down, as the name, where the function at `index` was defined; where that is braid's own, the first of its
 * arguments above that is a function of the user's. Does not raise. */
void trace_name_by(lua_State *L, int index, const void *whose);

#endif
