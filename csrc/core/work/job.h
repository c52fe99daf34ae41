/* SPDX-License-Identifier: MIT
 * A function and its arguments on their way to a worker, and the reply on its way home. Counted: the submitter and the
 * pool hold it. Whoever moves it out of `queued` first, a worker or a cancel, has it. */
#ifndef BRAID_JOB_H
#define BRAID_JOB_H

#include "core/sync/message.h"
#include "core/work/job_flag.h"

enum braid_job_state { BRAID_JOB_QUEUED, BRAID_JOB_RUNNING, BRAID_JOB_ENDED };

enum braid_job_outcome {
  BRAID_JOB_DONE,
  BRAID_JOB_FAILED,
  BRAID_JOB_CANCELLED,
  BRAID_JOB_DIED,       /* its worker process has ended: `death` tells how */
  BRAID_JOB_OVERDUE,    /* it was over its time limit, and would not end: its worker process was killed */
  BRAID_JOB_SILENT,     /* its worker process, which the pool's end waited for, gave no sign of life: it was killed */
  BRAID_JOB_NO_WORKER,  /* none could be made for it: `error` tells why */
  BRAID_JOB_NOT_TAKEN,  /* its worker process could not take in its arguments: `error` tells why */
  BRAID_JOB_REPLY_LOST, /* it was done, but its reply could not be taken in here: `error` tells why */
  BRAID_JOB_RECALLED    /* between two processes: the worker has not begun it, and will not */
};

struct braid_worker;
struct braid_worker_handle;

struct braid_job {
  atomic_uint refs;
  atomic_uchar state;          /* enum braid_job_state */
  uint8_t outcome;             /* enum braid_job_outcome; written before the waiter is posted */
  atomic_bool stop;            /* a running job is asked to end */
  struct braid_message *call;  /* the function and its arguments; the job's */
  struct braid_message *reply; /* results, or error and traceback; NULL when it was cancelled or its worker died, or
                                  when it failed and there was no memory to say with what */
  struct braid_waiter *home; /* the submitter's, claimed: posted when the job has ended; guarded by the pool's mutex */
  _Atomic(struct braid_worker *) worker; /* who runs it: a thread */

  /* While it is known to two processes, in both. */
  _Atomic(struct braid_job_flag *) flag; /* NULL: it is not */
  uint64_t ticket;

  /* In the parent: guarded by the pool's mutex. */
  struct braid_list link;                    /* among those that wait for a worker process, by turn */
  uint64_t turn;                             /* goes up with each that is submitted */
  struct braid_worker_handle *worker_handle; /* the process that has it */
  int64_t stopped;                           /* when it was asked to end */
  const char *fault;                         /* the same: why its connection was ended before; NULL: it was not */
  int death;                                 /* BRAID_JOB_DIED: as waitpid tells, or BRAID_CHILD_UNKNOWN */
  int pid;                                   /* of the process that ran it; 0: none did */
  int64_t ended;                             /* when its reply came */
  uint16_t attempts; /* workers that have died before they began it, and had nothing else to do */

  int error;    /* BRAID_JOB_NO_WORKER, BRAID_JOB_NOT_TAKEN, BRAID_JOB_REPLY_LOST: an error number */
  int64_t busy; /* ns that it ran in a process */

  /* In a worker process: takes the job home in place of `home`, and one reference; on the worker's thread. */
  void (*deliver)(struct braid_job *job);
};

/* Takes over the call. One reference for the submitter, one for the pool; NULL when memory is out. */
struct braid_job *braid_job_new(struct braid_message *call, struct braid_waiter *home);

/* Any thread; does not block. */
void braid_job_ref(struct braid_job *job);
void braid_job_unref(struct braid_job *job);

/* Out of the queue, by a worker or by a cancel: true for the first only. Any thread. */
static inline bool braid_job_take(struct braid_job *job, enum braid_job_state state) {
  unsigned char queued = BRAID_JOB_QUEUED;
  return atomic_compare_exchange_strong(&job->state, &queued, (unsigned char)state);
}

#endif
