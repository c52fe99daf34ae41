/* SPDX-License-Identifier: MIT
 * One mutex guards the log: while a trace runs, threads may wait for each other. */
#include "core/inspect/trace.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/thread.h"

atomic_bool braid_trace_on; /* written under the log's mutex, read without */

static struct {
  pthread_mutex_t mutex;
  struct braid_buffer events;
} trace = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool braid_trace_start(void) {
  pthread_mutex_lock(&trace.mutex);
  bool free = !braid_trace_is_on();
  if (free) {
    braid_buffer_term(&trace.events);
    braid_buffer_init(&trace.events);
    atomic_store(&braid_trace_on, true);
  }
  pthread_mutex_unlock(&trace.mutex);
  return free;
}

void braid_trace_stop(void) {
  pthread_mutex_lock(&trace.mutex);
  atomic_store(&braid_trace_on, false);
  pthread_mutex_unlock(&trace.mutex);
}

bool braid_trace_read(size_t i, struct braid_trace_event *event) {
  pthread_mutex_lock(&trace.mutex);
  bool there = !braid_trace_is_on() && i < trace.events.size / sizeof *event;
  if (there) memcpy(event, trace.events.data + i * sizeof *event, sizeof *event);
  pthread_mutex_unlock(&trace.mutex);
  return there;
}

static void append(const struct braid_trace_event *event) {
  pthread_mutex_lock(&trace.mutex);
  if (braid_trace_is_on() && !braid_buffer_append(&trace.events, event, sizeof *event))
    atomic_store(&braid_trace_on, false);
  pthread_mutex_unlock(&trace.mutex);
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
