/* SPDX-License-Identifier: MIT
 * The life of a pool's workers: starts processes, takes in their replies, and replaces workers that died. The I/O
 * thread; nothing blocks, except the start of a process, and to enter the pool's mutex. */
#ifndef BRAID_WORKER_LIFE_H
#define BRAID_WORKER_LIFE_H

#include "core/process/process_pool_base.h"

/* Starts the worker's process. If the system refuses, it is tried again later, or the pool breaks. */
void braid_worker_life_begin(struct braid_worker_handle *worker);

/* Tries again to start the workers that the system refused. To be called at each tick. */
void braid_worker_life_try_again(struct braid_process_pool *pool);

#endif
