/* SPDX-License-Identifier: MIT
 * The log of what happened: on and off, and written by several threads. */
#include "core/inspect/trace.h"

#include <pthread.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "check.h"

enum { THREADS = 4, EACH = 2000 };

static size_t count_events(void) {
  struct braid_trace_event event;
  size_t count = 0;
  while (braid_trace_read(count, &event)) count++;
  return count;
}

static void is_written_while_it_is_on(void) {
  struct braid_trace_event event;
  int task = 0, job = 0;
  braid_trace_note(BRAID_TRACE_STEP, &task);
  check(braid_trace_start());
  check(!braid_trace_start());
  int64_t before = braid_clock_now();
  braid_trace_note(BRAID_TRACE_STEP, &task);
  braid_trace_record(BRAID_TRACE_NAME, &job, "a name that is longer than what the event has room for, by far");
  braid_trace_record_of(BRAID_TRACE_RUN, &job, 7, 42);
  check(!braid_trace_read(0, &event)); /* it is on */
  braid_trace_stop();
  braid_trace_note(BRAID_TRACE_PARK, &task);
  check(count_events() == 3);
  check(braid_trace_read(0, &event) && event.kind == BRAID_TRACE_STEP && event.whose == &task && *event.name == 0);
  check(event.time >= before && event.track == braid_thread_number());
  check(braid_trace_read(1, &event) && event.kind == BRAID_TRACE_NAME && event.whose == &job);
  check(strlen(event.name) == sizeof event.name - 1);
  check(braid_trace_read(2, &event) && event.time == 7 && event.track == -42);
}

static void begins_empty(void) {
  check(braid_trace_start());
  braid_trace_stop();
  check(count_events() == 0);
}

static void *write_many(void *whose) {
  for (int i = 0; i < EACH; i++) braid_trace_note(BRAID_TRACE_STEP, whose);
  return NULL;
}

static void several_threads_write_at_once(void) {
  pthread_t threads[THREADS];
  int whose[THREADS] = {0}, counts[THREADS] = {0};
  check(braid_trace_start());
  for (int i = 0; i < THREADS; i++) check(pthread_create(&threads[i], NULL, write_many, &whose[i]) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  braid_trace_stop();
  struct braid_trace_event event;
  for (size_t i = 0; braid_trace_read(i, &event); i++) counts[(const int *)event.whose - whose]++;
  for (int i = 0; i < THREADS; i++) check(counts[i] == EACH);
}

CHECK_MAIN({"trace: is written while it is on", is_written_while_it_is_on}, {"trace: begins empty", begins_empty},
           {"trace: several threads write at once", several_threads_write_at_once})
