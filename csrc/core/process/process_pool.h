/* SPDX-License-Identifier: MIT
 * A pool whose workers are processes. Each worker has a connection and a set of job flags. The flags tell which of the
 * jobs that it was sent it has begun. When a worker dies, the jobs that it had not begun go to other workers. */
#ifndef BRAID_PROCESS_POOL_H
#define BRAID_PROCESS_POOL_H

#include "core/process/worker_handle.h"

/* Makes a pool. The I/O thread starts the processes later; if it cannot, the pool breaks. Takes over the plan, also
 * when it fails. NULL and errno when the system refuses. Any thread; blocks until the I/O thread has started. */
struct braid_pool *braid_process_pool_new(unsigned count, struct braid_process_plan plan);

#endif
