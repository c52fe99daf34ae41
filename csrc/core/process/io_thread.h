/* SPDX-License-Identifier: MIT
 * The thread that speaks with other processes: with our workers, and in a worker process with the parent. One for the
 * process, while somebody needs it. It has a loop of its own and never touches Lua. */
#ifndef BRAID_IO_THREAD_H
#define BRAID_IO_THREAD_H

#include "core/process/child.h"
#include "core/loop/loop.h"

struct braid_broker {
  struct braid_loop loop;
  struct braid_children children; /* worker processes: started by this thread, so that they end with it */
  unsigned users;                 /* guarded by the broker's own mutex */
};

/* Something to be done on the broker's thread. Its waiter can stand in the lines of shared objects, as a task's can:
 * arm it, hook it, and `run` is called when the wait is over (waiter.status tells how). Or it is just sent there. */
struct braid_errand {
  struct braid_waiter waiter;
  void (*run)(struct braid_errand *errand);
  atomic_bool under_way; /* sent and not begun */
};

/* Starts the thread, or finds it running; NULL and errno when the system refuses. Any thread. */
struct braid_broker *braid_broker_enter(void);

/* When nobody needs it any more it ends. Any thread, the broker's own too. */
void braid_broker_leave(struct braid_broker *broker);

/* Any thread, before others know the errand. */
void braid_errand_init(struct braid_errand *errand, struct braid_broker *broker, void (*run)(struct braid_errand *));

/* Has it run on the broker's thread, soon; sent again before it has begun it runs once. Any thread; does not block;
 * cannot fail. Not while it waits in a line. */
void braid_errand_send(struct braid_errand *errand);

/* Takes one back that was sent, if it has not begun: its memory may go then. The broker's thread. */
void braid_errand_recall(struct braid_errand *errand);

/* Whether the calling thread is the broker's. */
bool braid_broker_is_here(const struct braid_broker *broker);

#endif
