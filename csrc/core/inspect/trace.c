/* SPDX-License-Identifier: MIT
 * One mutex guards the log: while a trace runs, threads may wait for each other. */
#include "core/inspect/trace.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/loop/loop.h"

struct braid_trace braid_trace = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* False in a process that was forked: a thread that does not exist there may hold the mutex. Nothing is traced there.
 */
static bool enter(void) {
  if (!braid_loop_is_fork) pthread_mutex_lock(&braid_trace.mutex);
  return !braid_loop_is_fork;
}

bool braid_trace_start(void) {
  if (!enter()) return false;
  bool free = !braid_trace_is_on();
  if (free) {
    braid_buffer_term(&braid_trace.events);
    braid_buffer_init(&braid_trace.events);
    atomic_store(&braid_trace.on, true);
  }
  pthread_mutex_unlock(&braid_trace.mutex);
  return free;
}

void braid_trace_stop(void) {
  if (!enter()) return;
  atomic_store(&braid_trace.on, false);
  pthread_mutex_unlock(&braid_trace.mutex);
}

bool braid_trace_read(size_t i, struct braid_trace_event *event) {
  if (!enter()) return false;
  bool there = !braid_trace_is_on() && i < braid_trace.events.size / sizeof *event;
  if (there) memcpy(event, braid_trace.events.data + i * sizeof *event, sizeof *event);
  pthread_mutex_unlock(&braid_trace.mutex);
  return there;
}

static void append(const struct braid_trace_event *event) {
  if (!enter()) return;
  if (braid_trace_is_on() && !braid_buffer_append(&braid_trace.events, event, sizeof *event))
    atomic_store(&braid_trace.on, false);
  pthread_mutex_unlock(&braid_trace.mutex);
}

void braid_trace_record(enum braid_trace_kind kind, const void *whose, const char *name) {
  struct braid_trace_event event = {
      .time = braid_clock_now(), .whose = whose, .track = braid_thread_number(), .kind = (uint8_t)kind};
  if (name) snprintf(event.name, sizeof event.name, "%s", name);
  append(&event);
}

void braid_trace_record_of(enum braid_trace_kind kind, const void *whose, int64_t time, int process) {
  struct braid_trace_event event = {.time = time, .whose = whose, .track = -process, .kind = (uint8_t)kind};
  append(&event);
}
