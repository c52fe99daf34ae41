/* SPDX-License-Identifier: MIT
 * A worker: a thread with a Lua state of its own that runs jobs. */
#ifndef BRAID_LWORKER_H
#define BRAID_LWORKER_H

#include "core/work/thread_pool.h"
#include "lua/sched/lsched.h"

/* What the workers of a pool are told. */
struct worker_settings {
  struct braid_message *table; /* for lua/braid/pools/worker.lua: one encoded table */
  char *path, *cpath;          /* package.path and cpath, for finding that file */
  uint64_t max_jobs;           /* then the state is closed and made anew; 0: never */
  double time_limit;           /* seconds a job; 0: none */
  unsigned core;               /* where the maker of the pool ran: the first worker begins on the next one */
  size_t memory_limit;         /* bytes a job; 0: none */
  unsigned depth;              /* of this process: 0: the script's, 1: one that it has started, and so on */
  bool process;                /* it has a process for itself */
};

void worker_settings_free(void *settings);

/* The body of every worker's thread. */
void worker_body(struct braid_worker *worker);

/* How deep the state's process is below the script's. */
unsigned worker_depth(const struct sched *sched);

/* The state is a worker's, in a process that has others. */
bool worker_is_thread(const struct sched *sched);

/* The state is that of a worker of this pool, or of a process whose parent has it. */
bool worker_belongs_to(const struct sched *sched, const struct braid_pool *pool);

#endif
