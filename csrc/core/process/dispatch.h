/* SPDX-License-Identifier: MIT
 * Which worker process gets which job. Jobs that none has wait in a list: who submits gives a job to a worker that has
 * nothing to do, at once; otherwise they are handed out as replies come in, several ahead where jobs are short, so that
 * a worker does not wait for the next one. Everything here is guarded by the pool's mutex; nothing blocks. */
#ifndef BRAID_DISPATCH_H
#define BRAID_DISPATCH_H

#include "core/process/worker_handle.h"

struct braid_dispatch {
  struct braid_list pending; /* jobs */
  size_t pending_count;
  int64_t typical; /* ns that jobs take; 0: not known */
  uint64_t turns;  /* of the job that was submitted last */
  unsigned tasks;  /* jobs that a worker runs at once */
  unsigned count;
  struct braid_worker_handle *workers;
};

void braid_dispatch_init(struct braid_dispatch *dispatch, struct braid_worker_handle *workers, unsigned count,
                         unsigned tasks);

/* How many jobs a worker may know that runs so many at once, with those ahead. */
unsigned braid_dispatch_slots(unsigned tasks);

/* To a worker that has nothing to do, at once: true; else it waits. */
bool braid_dispatch_submit(struct braid_dispatch *dispatch, struct braid_job *job);

/* Everybody gets something to do, if there is anything, and then something ahead. */
void braid_dispatch_hand_out(struct braid_dispatch *dispatch);

/* A worker that has jobs ahead and has not replied since the last look is held up: they wait for others. One that has
 * not begun a job after a moment is, too: what it has not begun goes to those that have nothing to do. */
void braid_dispatch_look(struct braid_dispatch *dispatch, struct braid_worker_handle *worker, int64_t now);

/* A job took so long. */
void braid_dispatch_learn(struct braid_dispatch *dispatch, int64_t busy);

/* One that a worker had waits again, in front of all that were submitted after it. */
void braid_dispatch_return(struct braid_dispatch *dispatch, struct braid_job *job);

/* The next of those that wait, which does not any more; NULL: there is none. */
struct braid_job *braid_dispatch_pop(struct braid_dispatch *dispatch);

/* Takes out a job that waits; false when it does not. */
bool braid_dispatch_remove(struct braid_dispatch *dispatch, struct braid_job *job);

/* What a worker has not begun, and what none has begun, waits again. */
void braid_dispatch_recall(struct braid_dispatch *dispatch, struct braid_worker_handle *worker);
void braid_dispatch_recall_all(struct braid_dispatch *dispatch);

/* How many jobs have begun; how many have not. */
unsigned braid_dispatch_begun(const struct braid_dispatch *dispatch);
size_t braid_dispatch_queued(const struct braid_dispatch *dispatch);

#endif
