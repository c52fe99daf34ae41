/* SPDX-License-Identifier: MIT
 * Workers: threads, each with a private Lua state, that run jobs. Nothing blocks, except worker_body. */
#ifndef BRAID_LWORKER_H
#define BRAID_LWORKER_H

#include "core/work/thread_pool.h"
#include "lua/pool/lloaders.h"
#include "lua/sched/lsched.h"

/* The settings of a pool's workers. */
struct worker_settings {
  struct braid_message *table; /* for lua/braid/pools/worker.lua: one encoded table */
  char *modules;               /* compiled ones, each its name, its size and its code; NULL: none */
  size_t modules_size;         /* bytes */
  struct loaders loaders;      /* of the state that made the pool, or of the process */
  char *path, *cpath;          /* package.path and package.cpath, to find that file */
  uint64_t max_jobs;           /* after so many jobs the state is closed and made again; 0: never */
  double time_limit;           /* seconds for each job; 0: no limit */
  unsigned core;               /* the core of the thread that made the pool; the first worker starts on the next one */
  size_t memory_limit;         /* bytes for each job; 0: no limit */
  unsigned depth;              /* of this process: 0: the script's; 1: started by that; and so on */
  bool process;                /* the worker has its own process */
};

/* Any thread. */
void worker_settings_free(void *settings);

/* The body of a worker's thread. Blocks until the worker ends. */
void worker_body(struct braid_worker *worker);

/* The depth of this process: see worker_settings. The state's own thread, as for the next two. */
unsigned worker_depth(const struct sched *sched);

/* Whether the state is a worker's, in a process with other states. */
bool worker_is_thread(const struct sched *sched);

/* Whether the state is a worker of this pool, or the pool belongs to the parent process. */
bool worker_belongs_to(const struct sched *sched, const struct braid_pool *pool);

#endif
