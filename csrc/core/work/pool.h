/* SPDX-License-Identifier: MIT
 * What pools of threads and of processes have in common: jobs go in, replies go home, and somebody may wait for the end
 * of all workers. */
#ifndef BRAID_POOL_H
#define BRAID_POOL_H

#include "core/work/job.h"
#include "core/loop/loop.h"
#include "core/work/tally.h"

struct braid_pool;

struct braid_pool_stats {
  uint64_t done, failed, cancelled, bytes_in, bytes_out, busy; /* busy: nanoseconds */
};

/* What a pool has to do, and has done. */
struct braid_pool_facts {
  struct braid_pool_stats stats;
  unsigned alive;         /* workers that have not ended */
  size_t queued, running; /* jobs */
};

/* A job that a worker process has begun. */
struct braid_begun {
  struct braid_job *job;
  int pid;
  int64_t since;
};

/* What differs. Any thread, except where said otherwise; nothing blocks. */
struct braid_pool_kind {
  bool apart; /* its workers are processes of their own */
  /* The job counts from here on. BRAID_CLOSED, BRAID_NO_MEMORY: nothing has happened. */
  enum braid_status (*submit)(struct braid_pool *pool, struct braid_job *job);
  /* A queued job ends at once, a running one is asked to. False when it had ended. */
  bool (*cancel)(struct braid_pool *pool, struct braid_job *job);
  /* No more jobs; what is queued is still run, or cancelled. */
  void (*close)(struct braid_pool *pool, bool cancel_pending);
  /* Asks every running job to end. */
  void (*stop)(struct braid_pool *pool);
  /* Ends workers that would not end; NULL: that cannot be done. */
  void (*kill)(struct braid_pool *pool);
  /* How many jobs wait; how many have begun and not ended. Under the pool's mutex. */
  size_t (*queued)(struct braid_pool *pool);
  size_t (*running)(struct braid_pool *pool);
  /* The numbers of its worker processes, at most so many; how many there are. */
  unsigned (*pids)(struct braid_pool *pool, int *pids, unsigned room);
  /* What they have begun, at most so many, each with a reference for the caller; how many. */
  unsigned (*begun)(struct braid_pool *pool, struct braid_begun *list, unsigned room);
  /* Frees it; its common part is terminated with braid_pool_term. */
  void (*destroy)(struct braid_pool *pool);
};

struct braid_pool {
  struct braid_object object;
  const struct braid_pool_kind *kind;
  struct braid_list sibling;     /* among the pools of the state that made it; that thread only */
  struct braid_wait_queue ended; /* who waits for the last worker; guarded by object.guard */
  pthread_mutex_t mutex;
  pthread_cond_t worker_ended;
  unsigned alive;                /* workers that have not ended; guarded by mutex, as is what follows */
  struct braid_message *failure; /* why the pool is broken: error and traceback */
  bool dead;                     /* or, without a message: a worker died in its init, or could not be started */
  bool stopped;                  /* its jobs were cancelled: who comes too late is cancelled as well */
  int death, error;              /* then: how it died, as waitpid tells; or why it could not be started (errno) */
  struct braid_pool_stats stats;
  struct braid_tally *tally;       /* its jobs that are not home; NULL: nobody asks for them */
  struct braid_wait_queue resting; /* who waits until there are none; joined under the mutex */
  struct braid_guard rest_guard;   /* its guard: entered with the mutex held, or without */
  char name[40];                   /* for dumps; "": it has none. The thread of the state that made it only */
};

extern const struct braid_class braid_pool_class;

void braid_pool_init(struct braid_pool *pool, const struct braid_pool_kind *kind);
void braid_pool_term(struct braid_pool *pool);

/* What stands in a worker process for any pool of its parent: without workers, and closed. With a reference for the
 * caller; NULL when memory is out. Any thread. */
struct braid_pool *braid_pool_elsewhere(void);
bool braid_pool_is_elsewhere(const struct braid_pool *pool);

/* BRAID_OK when all workers have ended, or BRAID_WAIT. Any thread; does not block. */
enum braid_status braid_pool_join(struct braid_pool *pool, struct braid_wait_node *node);

/* Counts its jobs from now on, for braid_pool_rest and for who ends the process. False when memory is out. Before the
 * first job; does not block. */
bool braid_pool_count(struct braid_pool *pool);

/* BRAID_OK when no job is on its way, whoever has submitted it, or BRAID_WAIT: the wait node's waiter goes home behind
 * the last of them. For pools that count. Any thread; does not block. */
enum braid_status braid_pool_rest(struct braid_pool *pool, struct braid_wait_node *node);

/* Blocks until all workers have ended or the deadline passes; false then. Not for a worker. */
bool braid_pool_await(struct braid_pool *pool, int64_t deadline);

/* ---- for submitters. Any thread; nothing blocks ---- */

struct braid_pool_facts braid_pool_look(struct braid_pool *pool);

/* Whether it was given up, for good. `failure` is the message that says why; NULL: the pool's `error` or `death` does.
 */
bool braid_pool_is_given_up(struct braid_pool *pool, struct braid_message **failure);

/* Asks its jobs to end: who comes too late with one is cancelled as well. */
void braid_pool_stop(struct braid_pool *pool);
bool braid_pool_is_stopped(struct braid_pool *pool);

/* Of a job whose waiter is not home: whether it was cancelled; whether a worker process has begun it. */
bool braid_pool_has_cancelled(struct braid_pool *pool, struct braid_job *job);
bool braid_pool_has_begun(struct braid_pool *pool, struct braid_job *job);

/* The job's waiter will be gone: it is not posted any more. */
void braid_pool_forsake(struct braid_pool *pool, struct braid_job *job);

/* ---- for the kinds ---- */

/* A job that was submitted counts: before anybody can take it. Any thread. */
static inline void braid_pool_admit(struct braid_pool *pool) {
  if (pool->tally) braid_tally_add(pool->tally);
}

/* It counts no more, for it was refused. Enters the mutex. */
void braid_pool_turn_away(struct braid_pool *pool);

/* One worker has ended for good. */
void braid_pool_lose_worker(struct braid_pool *pool);

/* The job has ended, its outcome is written: counts it and sends its waiter home, unless the submitter has taken it
 * back. Under the mutex, so that a submitter that goes away first can do that. */
void braid_pool_bring_home(struct braid_pool *pool, struct braid_job *job);

#endif
