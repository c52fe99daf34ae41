/* SPDX-License-Identifier: MIT
 * The worker's end of a process pool: a process in which one worker runs the jobs that come over the connection. This
 * process's I/O thread receives jobs; the worker's thread sends the replies. */
#ifndef BRAID_WORKER_PROCESS_H
#define BRAID_WORKER_PROCESS_H

#include "core/process/connection.h"
#include "core/work/thread_pool.h"

/* Makes the pool of the worker from the settings and the message, which it takes over. `index` is the worker's index
 * among its parent's workers. NULL when memory is out. Called on the I/O thread. */
typedef struct braid_thread_pool *braid_worker_process_maker(const char *settings, size_t size,
                                                             struct braid_message *table, unsigned index);

/* Makes this process a worker: opens its connection, and blocks until the settings have come. Returns the pool whose
 * one worker the caller must run. Does not return when the system refuses. The main thread. */
struct braid_thread_pool *braid_worker_process_begin(braid_worker_process_maker *maker);

/* The worker's loop may look for jobs itself, instead of the I/O thread. The worker's thread; does not block. */
void braid_worker_process_look_from(struct braid_loop *loop);

/* Tell the parent that the init has run, or has failed. The message stays the caller's; NULL: memory was out. The
 * worker's thread; do not block. */
void braid_worker_process_ready(void);
void braid_worker_process_failed(struct braid_message *failure);

/* Whether this is a worker process. With `ask` it asks its parent to look for deadlocks. Any thread; does not block. */
bool braid_worker_process_suspect(bool ask);

/* If the pool is this process's own: calls `visit` for the call of each job that the parent waits for, under the mutex.
 * Any thread. */
void braid_worker_process_visit(const struct braid_thread_pool *pool,
                                void (*visit)(const struct braid_message *call, void *context), void *context);

/* Tells the parent that this process cannot become a worker for want of memory or descriptors. Any thread; does not
 * block. */
void braid_worker_process_short(int error);

/* Sends what is left, and ends the process. Any thread but the I/O thread; blocks until all is sent. */
_Noreturn void braid_worker_process_end(int status);

#endif
