/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/inspect/sampler.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/base/visible.h"
#include "core/inspect/answer.h"
#include "core/inspect/inspect.h"
#include "core/inspect/poke.h"

enum { MOST_RATE = 1000, PATIENCE = 1 /* s until the rate must have come, and until a send must have ended */ };

/* ---- the state's own thread ----------------------------------------------------------------------------------- */

void braid_sampler_begin(const struct braid_state *state, struct braid_buffer *line, unsigned ticks) {
  char number[16];
  braid_buffer_append(line, number, (size_t)snprintf(number, sizeof number, "%u\t", ticks));
  braid_visible_append(line, state->name, strlen(state->name), false);
}

void braid_sampler_tell(struct braid_state *state, const struct braid_buffer *line) {
  enum { MOST = 1 << 20 };
  pthread_mutex_lock(&state->sampling.mutex);
  if (state->sampling.lines.size < MOST) braid_buffer_append(&state->sampling.lines, line->data, line->size);
  pthread_mutex_unlock(&state->sampling.mutex);
}

/* ---- the states ----------------------------------------------------------------------------------------------- */

static void take_lines(struct braid_state *state, struct braid_buffer *text) {
  struct braid_buffer *lines = &state->sampling.lines;
  pthread_mutex_lock(&state->sampling.mutex);
  if (braid_buffer_append(text, lines->data, lines->size)) lines->size = 0;
  pthread_mutex_unlock(&state->sampling.mutex);
}

static void tick(struct braid_buffer *text, unsigned rate, unsigned ticks) {
  for (struct braid_state *state = NULL; (state = braid_states_next(state));) {
    take_lines(state, text);
    atomic_store(&state->sampling.rate, rate);
    if (atomic_load(&state->loop->sleeping)) continue;
    atomic_fetch_add(&state->sampling.ticks, ticks);
    atomic_fetch_or(&state->asked, BRAID_STATE_SAMPLE);
    if (braid_answer_is_asked()) braid_poke(state->thread);
  }
}

/* What a state does not tell any more, it has spent inside a C function that has not returned. */
static void end(struct braid_buffer *text) {
  static const char inside[] = "\t\t(inside a C function)\n";
  for (struct braid_state *state = NULL; (state = braid_states_next(state));) {
    take_lines(state, text);
    atomic_store(&state->sampling.rate, 0);
    atomic_fetch_and(&state->asked, ~(unsigned)BRAID_STATE_SAMPLE);
    unsigned ticks = braid_sampler_ticks(state);
    if (ticks <= 1) continue;
    braid_sampler_begin(state, text, ticks);
    braid_buffer_append(text, inside, sizeof inside - 1);
  }
}

/* ---- the thread ----------------------------------------------------------------------------------------------- */

/* 0: it did not come. */
static unsigned read_rate(int connection) {
  uint32_t rate;
  struct timeval patience = {.tv_sec = PATIENCE};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ssize_t size = recv(connection, &rate, sizeof rate, MSG_WAITALL);
  return size == sizeof rate && rate <= MOST_RATE ? rate : 0;
}

/* SIGPIPE is blocked in this thread. */
static bool send_all(int connection, struct braid_buffer *text) {
  size_t sent = 0;
  while (sent < text->size) {
    ssize_t count = send(connection, text->data + sent, text->size - sent, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += (size_t)count;
  }
  text->size = 0;
  return true;
}

/* Whether the other end wants no more. */
static bool is_over(int connection) {
  char byte;
  ssize_t size = recv(connection, &byte, 1, MSG_DONTWAIT);
  return size >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void sleep_until(int64_t time) {
  int64_t left = time - braid_clock_now();
  if (left > 0) nanosleep(&(struct timespec){.tv_sec = left / BRAID_SECOND, .tv_nsec = left % BRAID_SECOND}, NULL);
}

/* A thread that gets its turn late counts the ticks that it has missed. */
static void sample(int connection, unsigned rate, struct braid_buffer *text) {
  int64_t period = BRAID_SECOND / rate, last = braid_clock_now();
  do {
    sleep_until(last + period);
    int64_t ticks = (braid_clock_now() - last) / period;
    last += ticks * period;
    if (ticks > 0) tick(text, rate, (unsigned)ticks);
  } while (send_all(connection, text) && !is_over(connection));
}

static void *run(void *argument) {
  int connection = (int)(intptr_t)argument;
  struct braid_buffer text;
  braid_buffer_init(&text);
  unsigned rate = read_rate(connection);
  if (rate > 0) sample(connection, rate, &text);
  end(&text);
  if (rate > 0) send_all(connection, &text);
  braid_buffer_term(&text);
  braid_states_end_profile();
  close(connection);
  return NULL;
}

void braid_sampler_start(int connection) {
  pthread_t thread;
  if (!braid_states_begin_profile()) {
    close(connection);
  } else if (braid_thread_start(&thread, run, (void *)(intptr_t)connection) == 0) {
    pthread_detach(thread);
  } else {
    braid_states_end_profile();
    close(connection);
  }
}

void braid_sampler_send_to(unsigned number) {
  braid_inspect_open();
  int connection = braid_answer_reach(number);
  if (connection >= 0) braid_sampler_start(connection);
}
