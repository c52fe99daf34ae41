/* SPDX-License-Identifier: MIT
 * The I/O thread speaks with other processes: with our workers and, in a worker process, with the parent. The process
 * has one, as long as somebody uses it. It has its own loop and never touches Lua. */
#ifndef BRAID_IO_THREAD_H
#define BRAID_IO_THREAD_H

#include "core/process/child.h"
#include "core/loop/loop.h"

struct braid_io_thread {
  struct braid_loop loop;
  struct braid_children children; /* worker processes; this thread starts them, because on Linux they die with the
                                     thread that started them */
  unsigned users;                 /* under io_thread.c's mutex */
};

/* A function to run on the I/O thread. Its waiter can wait in the wait queues of shared objects, as a task's can: arm
 * the waiter, let its node join a queue; then `run` is called when the wait is over, with the status in waiter.status.
 * Or braid_errand_send posts it at once. */
struct braid_errand {
  struct braid_waiter waiter;
  void (*run)(struct braid_errand *errand);
  atomic_bool under_way; /* sent, but `run` has not begun */
};

/* Starts the I/O thread, or uses the one that runs. NULL and errno when the system refuses. Any thread; blocks until
 * the thread has started. */
struct braid_io_thread *braid_io_thread_enter(void);

/* Ends the use; the I/O thread ends after the last one. Any thread, also the I/O thread; does not block. */
void braid_io_thread_leave(struct braid_io_thread *io_thread);

/* Any thread, before others know the errand; does not block. */
void braid_errand_init(struct braid_errand *errand, struct braid_io_thread *io_thread,
                       void (*run)(struct braid_errand *));

/* Has the errand run soon on the I/O thread. If it is sent again before it has begun, it runs once. Not while it waits
 * in a wait queue. Cannot fail. Any thread; does not block. */
void braid_errand_send(struct braid_errand *errand);

/* Takes the errand back, if it was sent and has not begun; after that its memory may be freed. The I/O thread; does not
 * block. */
void braid_errand_recall(struct braid_errand *errand);

/* Blocks until all that has come to this process so far was handled. False: that takes too long. Any thread but the I/O
 * thread, which must run. */
bool braid_io_thread_settle(void);

#endif
