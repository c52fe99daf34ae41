/* SPDX-License-Identifier: MIT
 * Profiles. A thread asks all states at a steady rate what they do, and sends what they tell over a connection, until
 * the other end sends a byte or closes it. So a profile ends with the process that wanted it, and nothing that was sent
 * is lost when this process is killed. A state whose loop sleeps is not asked.
 *
 * A line is: ticks, tab, name of the state, tab, name of the task; and for each frame, the innermost first: tab, and
 * name, file, line of the definition and line, with \x1f between them. */
#ifndef BRAID_SAMPLER_H
#define BRAID_SAMPLER_H

#include "core/inspect/states.h"

/* Starts the thread, which takes over the connection and first reads the rate (ticks in a second, 4 bytes) from it.
 * There is one profile at a time; another one gets an empty answer. Any thread; does not block. */
void braid_sampler_start(int connection);

/* The same for the socket with this number (see question.h) of a process of our own user. Blocks for a moment. */
void braid_sampler_send_to(unsigned number);

/* ---- the state's own thread ---- */

/* Takes the ticks that have passed. */
static inline unsigned braid_sampler_ticks(struct braid_state *state) {
  return atomic_exchange(&state->sampling.ticks, 0);
}

/* Begins a line, with the name of the state. */
void braid_sampler_begin(const struct braid_state *state, struct braid_buffer *line, unsigned ticks);

/* Tells a whole line. Lines are lost while many wait. */
void braid_sampler_tell(struct braid_state *state, const struct braid_buffer *line);

#endif
