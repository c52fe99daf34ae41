/* SPDX-License-Identifier: MIT
 * A job: a function and its arguments for a worker, later the reply for the submitter. Reference-counted; the submitter
 * and the pool hold one reference each. Whoever changes its state from `queued` first, a worker or a cancel, decides
 * how it ends. */
#ifndef BRAID_JOB_H
#define BRAID_JOB_H

#include "core/sync/message.h"
#include "core/work/job_flag.h"

enum braid_job_state { BRAID_JOB_QUEUED, BRAID_JOB_RUNNING, BRAID_JOB_ENDED };

enum braid_job_outcome {
  BRAID_JOB_DONE,
  BRAID_JOB_FAILED,
  BRAID_JOB_CANCELLED,
  BRAID_JOB_DIED,       /* its worker process has died: see `death` */
  BRAID_JOB_OVERDUE,    /* it ran over its time limit and did not stop: its worker process was killed */
  BRAID_JOB_SILENT,     /* the pool was closing and its worker process did not answer: the process was killed */
  BRAID_JOB_NO_WORKER,  /* no worker could be made for it: see `error` */
  BRAID_JOB_NOT_TAKEN,  /* its worker process had no resources to read its arguments: see `error` */
  BRAID_JOB_REPLY_LOST, /* it is done, but this process had no resources to read its reply: see `error` */
  BRAID_JOB_RECALLED    /* between two processes only: the worker has not begun it and never will */
};

/* What a worker says of a job: a message, or its only result as an item, or nothing. */
struct braid_reply {
  struct braid_message *message;
  struct braid_item result;
};

struct braid_worker;
struct braid_worker_handle;

struct braid_job {
  atomic_uint refs;
  atomic_uchar state;          /* enum braid_job_state */
  uint8_t outcome;             /* enum braid_job_outcome; written before the waiter is posted */
  atomic_bool stop;            /* asks a running job to end */
  struct braid_message *call;  /* the function and its arguments; owned */
  struct braid_message *reply; /* results, or error and traceback; owned. NULL: cancelled, died, memory out, `result` */
  struct braid_item result;    /* its only result, if that is a number, a boolean or null; else BRAID_ITEM_NONE */
  _Atomic(struct braid_waiter *) home;   /* the submitter's claimed waiter; whoever takes it out posts it */
  _Atomic(struct braid_worker *) worker; /* the worker thread that runs it, or NULL */

  /* In both processes, while the job is with a worker process. */
  _Atomic(struct braid_job_flag *) flag; /* NULL: it is not */
  uint64_t ticket;

  /* In the parent, under the pool's mutex. */
  struct braid_list link;                    /* in the list of pending jobs, sorted by `turn` */
  uint64_t turn;                             /* a serial number in order of submission */
  struct braid_worker_handle *worker_handle; /* the process that it was sent to */
  int64_t stopped;                           /* when it was asked to end */
  const char *fault; /* of a job that died: why this process had ended the worker's connection; NULL: it had not */
  int death;         /* BRAID_JOB_DIED: the status from waitpid, or BRAID_CHILD_UNKNOWN */
  int pid;           /* of the process that ran it; 0: none did */
  int64_t ended;     /* when its reply came */
  uint16_t attempts; /* workers that died with this as their only job, before they began it */

  int error;    /* BRAID_JOB_NO_WORKER, _NOT_TAKEN, _REPLY_LOST: an error number */
  int64_t busy; /* ns that it ran in a worker process */

  /* In a worker process: sends the reply, instead of `home`, and drops one reference. On the worker's thread or the I/O
   * thread; outside the pool's mutex. */
  void (*deliver)(struct braid_job *job);
};

/* Takes over the call. Makes two references: one for the submitter, one for the pool. NULL when memory is out. Any
 * thread; does not block. */
struct braid_job *braid_job_new(struct braid_message *call, struct braid_waiter *home);

/* Any thread; does not block. */
void braid_job_ref(struct braid_job *job);
void braid_job_unref(struct braid_job *job);

/* Drops a reference that is not the last one. Any thread; does not block. */
static inline void braid_job_resign(struct braid_job *job) {
  atomic_fetch_sub_explicit(&job->refs, 1, memory_order_release);
}

/* Bytes of the reply. */
static inline size_t braid_job_reply_size(const struct braid_job *job) {
  return job->reply ? job->reply->size : job->result.tag ? sizeof job->result.bits : 0;
}

/* Changes the state from `queued` to `state`. True for the first caller only, a worker or a cancel. Any thread; does
 * not block. */
static inline bool braid_job_take(struct braid_job *job, enum braid_job_state state) {
  unsigned char queued = BRAID_JOB_QUEUED;
  return atomic_compare_exchange_strong(&job->state, &queued, (unsigned char)state);
}

#endif
