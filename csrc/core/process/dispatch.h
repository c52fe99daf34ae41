/* SPDX-License-Identifier: MIT
 * Decides which worker process gets which job. Jobs without a worker are in a list. A new job goes to an idle worker at
 * once, if there is one. Otherwise jobs are assigned when replies come in. Short jobs are sent several in advance, so
 * that a worker need not wait for its next job. The pool's mutex guards everything here; nothing blocks. */
#ifndef BRAID_DISPATCH_H
#define BRAID_DISPATCH_H

#include "core/process/worker_handle.h"

struct braid_dispatch {
  struct braid_list pending; /* jobs without a worker */
  size_t pending_count;
  int64_t typical; /* ns that a job takes, a moving average; 0: not known */
  uint64_t turns;  /* the `turn` of the last job that was submitted */
  unsigned tasks;  /* jobs that a worker runs at once */
  unsigned count;
  struct braid_worker_handle *workers;
};

void braid_dispatch_init(struct braid_dispatch *dispatch, struct braid_worker_handle *workers, unsigned count,
                         unsigned tasks);

/* How many jobs a worker can have at most, with those in advance, when it runs `tasks` at once. */
unsigned braid_dispatch_slots(unsigned tasks);

/* True: the job went to an idle worker. False: it is in the list. */
bool braid_dispatch_submit(struct braid_dispatch *dispatch, struct braid_job *job);

/* Whether a worker has more jobs than it runs at once. */
bool braid_dispatch_has_more(const struct braid_dispatch *dispatch);

/* Assigns jobs to all workers that can take some, then jobs in advance. */
void braid_dispatch_hand_out(struct braid_dispatch *dispatch);

/* Looks for a stuck worker. A worker with jobs in advance that has not replied since the last look is stuck: the jobs
 * in advance return to the list. So is one that has not begun a job for a moment: what it has not begun goes to idle
 * workers. */
void braid_dispatch_look(struct braid_dispatch *dispatch, struct braid_worker_handle *worker, int64_t now);

/* A job took `busy` ns. */
void braid_dispatch_learn(struct braid_dispatch *dispatch, int64_t busy);

/* Puts a job that a worker had back into the list, in front of all that were submitted later. */
void braid_dispatch_return(struct braid_dispatch *dispatch, struct braid_job *job);

/* Takes the first job out of the list. NULL: the list is empty. */
struct braid_job *braid_dispatch_pop(struct braid_dispatch *dispatch);

/* Takes a job out of the list. False: it is not in it. */
bool braid_dispatch_remove(struct braid_dispatch *dispatch, struct braid_job *job);

/* Recalls all jobs that a worker has not begun; the same for all workers. */
void braid_dispatch_recall(struct braid_dispatch *dispatch, struct braid_worker_handle *worker);
void braid_dispatch_recall_all(struct braid_dispatch *dispatch);

/* How many jobs have begun, and how many have not. */
unsigned braid_dispatch_begun(const struct braid_dispatch *dispatch);
size_t braid_dispatch_queued(const struct braid_dispatch *dispatch);

#endif
