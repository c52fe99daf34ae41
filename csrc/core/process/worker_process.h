/* SPDX-License-Identifier: MIT
 * The worker's end of a process pool: in a process of its own a lone worker runs the jobs that come over the
 * connection. The I/O thread of this process takes them in; the worker's own thread sends the replies. */
#ifndef BRAID_WORKER_PROCESS_H
#define BRAID_WORKER_PROCESS_H

#include "core/process/connection.h"
#include "core/work/thread_pool.h"

/* How a worker makes its pool of what it is told, the index-th of its pool; takes over the message. The I/O
 * thread. NULL: memory is out. */
typedef struct braid_thread_pool *braid_worker_process_maker(const char *settings, size_t size,
                                                             struct braid_message *table, unsigned index);

/* This process is a worker: opens its connection, and waits until it is told how to work. The main thread; returns the
 * pool whose lone worker is to be run here. Does not return when the system refuses. */
struct braid_thread_pool *braid_worker_process_begin(braid_worker_process_maker *maker);

/* The init has run, or failed; the message stays the caller's, NULL: memory was out. The worker's thread. */
void braid_worker_process_ready(void);
void braid_worker_process_failed(struct braid_message *failure);

/* It cannot become a worker for want of memory or descriptors: the system's number. Any thread. */
void braid_worker_process_short(int error);

/* Sends what is left, and ends the process. */
_Noreturn void braid_worker_process_end(int status);

#endif
