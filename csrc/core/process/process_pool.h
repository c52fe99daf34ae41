/* SPDX-License-Identifier: MIT
 * A pool whose workers are processes. Each has a connection, and a page of job flags that tell which of the jobs that
 * it was sent it has begun. A job that no worker had begun when its worker died goes to another one. */
#ifndef BRAID_PROCESS_POOL_H
#define BRAID_PROCESS_POOL_H

#include "core/process/worker_handle.h"

/* Begins to start the processes; takes over the plan, also when it fails. NULL and errno when the system refuses. The
 * processes are started by the I/O thread: what goes wrong then breaks the pool. */
struct braid_pool *braid_process_pool_new(unsigned count, struct braid_process_plan plan);

#endif
