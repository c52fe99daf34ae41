/* SPDX-License-Identifier: MIT
 * The common part of thread pools and process pools: submitters put jobs in and get replies, and anybody may wait until
 * all workers have ended. */
#ifndef BRAID_POOL_H
#define BRAID_POOL_H

#include "core/work/job.h"
#include "core/loop/loop.h"
#include "core/work/tally.h"

struct braid_pool;

struct braid_pool_stats {
  uint64_t done, failed, cancelled, bytes_in, bytes_out, busy; /* busy: ns */
};

/* Counts one job that has ended with this outcome. */
static inline void braid_pool_stats_count(struct braid_pool_stats *stats, enum braid_job_outcome outcome) {
  switch (outcome) {
    case BRAID_JOB_DONE: stats->done++; break;
    case BRAID_JOB_CANCELLED: stats->cancelled++; break;
    default: stats->failed++;
  }
}

/* The state of a pool. */
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

/* The functions that differ between the two. Any thread, unless said otherwise; none blocks. */
struct braid_pool_kind {
  bool apart; /* its workers are processes */
  /* The pool counts the job from here on. BRAID_CLOSED, BRAID_NO_MEMORY: nothing has happened. */
  enum braid_status (*submit)(struct braid_pool *pool, struct braid_job *job);
  /* Ends a queued job at once, and asks a running job to end. False: it had ended. */
  bool (*cancel)(struct braid_pool *pool, struct braid_job *job);
  /* Refuses jobs from now on. Queued jobs still run, or with `cancel_pending` are cancelled. */
  void (*close)(struct braid_pool *pool, bool cancel_pending);
  /* Asks all running jobs to end. */
  void (*stop)(struct braid_pool *pool);
  /* Kills workers that do not end; NULL: the kind has no such function. */
  void (*kill)(struct braid_pool *pool);
  /* How many jobs wait, and how many have begun and not ended. Under the pool's mutex. */
  size_t (*queued)(struct braid_pool *pool);
  size_t (*running)(struct braid_pool *pool);
  /* Adds what its workers have counted themselves; NULL: they count nothing. Under the pool's mutex. */
  void (*add_stats)(struct braid_pool *pool, struct braid_pool_stats *stats);
  /* Writes the process ids of up to `room` workers to `pids`; returns how many. */
  unsigned (*pids)(struct braid_pool *pool, int *pids, unsigned room);
  /* Writes up to `room` begun jobs to `list`, each with a new reference; returns how many. */
  unsigned (*begun)(struct braid_pool *pool, struct braid_begun *list, unsigned room);
  /* Frees the pool. It must call braid_pool_term for this common part. */
  void (*destroy)(struct braid_pool *pool);
};

struct braid_pool {
  struct braid_object object;
  const struct braid_pool_kind *kind;
  struct braid_list sibling;     /* in the list of pools of the state that made it; that state's thread only */
  struct braid_lookout lookout;  /* looks for replies, in that state's loop; `look` is NULL: it has none */
  struct braid_wait_queue ended; /* who waits for the end of all workers; under object.guard */
  pthread_mutex_t mutex;
  pthread_cond_t worker_ended;
  unsigned alive;                /* workers that have not ended; under mutex, as all fields below */
  struct braid_message *failure; /* why the pool is broken: error and traceback */
  bool dead;        /* the pool is broken without a message: a worker died in its init, or could not start */
  bool stopped;     /* its jobs were cancelled, so jobs that come later are cancelled, too */
  int death, error; /* of a dead pool: the status from waitpid, or the error number of the start */
  struct braid_pool_stats stats;
  struct braid_tally *tally;       /* counts its jobs that have not ended; NULL: not wanted; set once */
  atomic_ullong posted;            /* jobs that have ended and whose submitter was told; counts as the tally does */
  struct braid_wait_queue resting; /* who waits until no job is left */
  struct braid_guard rest_guard;   /* protects `resting`; entered with the mutex held, or without */
  atomic_bool rest_wanted;         /* somebody may be in `resting` */
  char name[40];                   /* for dumps, "": none; the thread of the state that made it only */
};

extern const struct braid_class braid_pool_class;

/* Any thread, before others know the pool; after the last reference is gone. Do not block. */
void braid_pool_init(struct braid_pool *pool, const struct braid_pool_kind *kind);
void braid_pool_term(struct braid_pool *pool);

/* Returns a pool without workers, and closed. In a worker process it stands for a pool of the parent. NULL when memory
 * is out. Any thread; does not block. */
struct braid_pool *braid_pool_elsewhere(void);
bool braid_pool_is_elsewhere(const struct braid_pool *pool);

/* BRAID_OK: all workers have ended. Else BRAID_WAIT: the wait node's waiter will be claimed. Any thread; does not
 * block. */
enum braid_status braid_pool_join(struct braid_pool *pool, struct braid_wait_node *node);

/* Begins to count the pool's jobs, for braid_pool_rest and for braid_tally_tell. False when memory is out. Must be
 * called before the first job. Does not block. */
bool braid_pool_count(struct braid_pool *pool);

/* BRAID_OK: no job is queued or running, whoever submitted it. Else BRAID_WAIT: the wait node's waiter is posted after
 * the waiter of the last job. Only for pools that count. Any thread; does not block. */
enum braid_status braid_pool_rest(struct braid_pool *pool, struct braid_wait_node *node);

/* Blocks until all workers have ended, or until the deadline: then it returns false. Any thread but the pool's
 * workers. */
bool braid_pool_await(struct braid_pool *pool, int64_t deadline);

/* ---- for submitters: any thread; nothing blocks ---- */

struct braid_pool_facts braid_pool_look(struct braid_pool *pool);

/* Whether the pool is broken. *failure is the message that says why; NULL: see `error` and `death`. It is the
 * pool's. */
bool braid_pool_is_given_up(struct braid_pool *pool, struct braid_message **failure);

/* Asks all jobs to end; jobs that are submitted later are cancelled, too. */
void braid_pool_stop(struct braid_pool *pool);
bool braid_pool_is_stopped(struct braid_pool *pool);

/* Whether the job has ended and was cancelled; whether a worker process has begun it. */
bool braid_pool_has_cancelled(struct braid_job *job);
bool braid_pool_has_begun(struct braid_pool *pool, struct braid_job *job);

/* The job's waiter will not exist any more, so it is not posted. False: it was posted, or is being posted right now. */
bool braid_pool_forsake(struct braid_job *job);

/* ---- for thread pools and process pools ---- */

/* Counts a job, before a worker can take it. Any thread; does not block. */
static inline void braid_pool_admit(struct braid_pool *pool) {
  if (pool->tally) braid_tally_add(pool->tally);
}

/* Counts a job no more, because the pool refused it. Any thread; does not block. */
void braid_pool_turn_away(struct braid_pool *pool);

/* Counts one worker that has ended and will not be replaced. Any thread; does not block. */
void braid_pool_lose_worker(struct braid_pool *pool);

/* The job has ended, and its outcome is written. Posts the submitter's waiter, unless the submitter has taken it back,
 * and drops a reference of the job. Any thread; does not block. */
void braid_pool_send_home(struct braid_pool *pool, struct braid_job *job);

/* The same, but counts the job as well. Under the mutex. */
void braid_pool_bring_home(struct braid_pool *pool, struct braid_job *job);

#endif
