/* SPDX-License-Identifier: MIT
 * Who waits in a C test: a thread with a loop of its own and one waiter. Its thread only. */
#ifndef BRAID_ACTOR_H
#define BRAID_ACTOR_H

#include "core/loop/loop.h"
#include "check.h"

struct actor {
  struct braid_loop loop;
  struct braid_waiter waiter;
  uint32_t random;
};

static inline void actor_open(struct actor *actor, uint32_t seed) {
  check(braid_loop_open(&actor->loop) == 0);
  braid_waiter_init(&actor->waiter, &actor->loop, BRAID_WAITER_TASK);
  actor->random = seed * 2654435761u + 1;
}

static inline void actor_close(struct actor *actor) { braid_loop_close(&actor->loop); }

/* A wait node to wait with. */
static inline struct braid_wait_node *actor_arm(struct actor *actor) {
  braid_waiter_arm(&actor->waiter);
  return &actor->waiter.node;
}

/* Sees the wait through that an operation answered BRAID_WAIT to; other answers are returned as they are. */
static inline enum braid_status actor_await(struct actor *actor, enum braid_status status, int64_t deadline) {
  if (status != BRAID_WAIT) return status;
  if (deadline != BRAID_NEVER) check(braid_loop_sleep(&actor->loop, &actor->waiter, deadline));
  struct braid_waiter *home;
  while (!(home = braid_loop_next(&actor->loop))) braid_loop_poll(&actor->loop, BRAID_NEVER);
  check(home == &actor->waiter);
  braid_loop_unsleep(&actor->loop, &actor->waiter);
  braid_wait_node_leave(&actor->waiter.node);
  return actor->waiter.status;
}

/* The same, but the wait may end early: by a deadline that is already close, or by a cancel. */
static inline enum braid_status actor_await_rashly(struct actor *actor, enum braid_status status) {
  uint32_t mood = check_random(&actor->random) % 8;
  if (status == BRAID_WAIT && mood == 0) braid_loop_end_wait(&actor->loop, &actor->waiter, BRAID_CANCELLED);
  int64_t patience = (int64_t)(check_random(&actor->random) % 200) * 1000;
  return actor_await(actor, status, mood < 4 ? braid_clock_now() + patience : BRAID_NEVER);
}

/* Ended without what was waited for, and may try again. */
static inline bool actor_gave_up(enum braid_status status) {
  return status == BRAID_TIMEOUT || status == BRAID_CANCELLED;
}

#endif
