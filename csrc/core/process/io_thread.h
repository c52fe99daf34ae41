/* SPDX-License-Identifier: MIT
 * The thread that speaks with other processes: with our workers, and in a worker process with the parent. One for the
 * process, while somebody needs it. It has a loop of its own and never touches Lua. */
#ifndef BRAID_IO_THREAD_H
#define BRAID_IO_THREAD_H

#include "core/process/child.h"
#include "core/loop/loop.h"

struct braid_io_thread {
  struct braid_loop loop;
  struct braid_children children; /* worker processes: started by this thread, so that they end with it */
  unsigned users;                 /* guarded by the I/O thread's own mutex */
};

/* Something to be done on the I/O thread. Its waiter can stand in the wait queues of shared objects, as a task's can:
 * arm it, let its node join one, and `run` is called when the wait is over (waiter.status tells how). Or it is just
 * sent there. */
struct braid_errand {
  struct braid_waiter waiter;
  void (*run)(struct braid_errand *errand);
  atomic_bool under_way; /* sent and not begun */
};

/* Starts the thread, or finds it running; NULL and errno when the system refuses. Any thread. */
struct braid_io_thread *braid_io_thread_enter(void);

/* When nobody needs it any more it ends. Any thread, the I/O thread itself too. */
void braid_io_thread_leave(struct braid_io_thread *io_thread);

/* Any thread, before others know the errand. */
void braid_errand_init(struct braid_errand *errand, struct braid_io_thread *io_thread,
                       void (*run)(struct braid_errand *));

/* Has it run on the I/O thread, soon; sent again before it has begun it runs once. Any thread; does not block;
 * cannot fail. Not while it waits in a wait queue. */
void braid_errand_send(struct braid_errand *errand);

/* Takes one back that was sent, if it has not begun: its memory may go then. The I/O thread. */
void braid_errand_recall(struct braid_errand *errand);

#endif
