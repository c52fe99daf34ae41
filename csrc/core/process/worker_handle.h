/* SPDX-License-Identifier: MIT
 * One worker process as its pool knows it: the process, its connection, and the jobs that it was sent. What is said to
 * be guarded is guarded by the pool's mutex; the rest is the I/O thread's. */
#ifndef BRAID_WORKER_HANDLE_H
#define BRAID_WORKER_HANDLE_H

#include "core/process/connection.h"
#include "core/work/pool.h"

/* How workers are started and what they are told. */
struct braid_process_plan {
  char **argv;    /* one allocation for all; see BRAID_WORKER_CONNECTION for its descriptors */
  bool own;       /* the program is the one that runs here */
  void *settings; /* body of the first frame, in front of the message */
  size_t settings_size;
  struct braid_message *table; /* the message */
  unsigned tasks;              /* jobs that a worker runs at once */
  int64_t time_limit;          /* ns a job may take; 0: any time */
};

void braid_process_plan_free(struct braid_process_plan *plan);

/* The descriptors of a worker: its connection, and its job flags. */
enum { BRAID_WORKER_CONNECTION = 3, BRAID_WORKER_JOB_FLAGS = 4 };

struct braid_worker_handle {
  struct braid_process_pool *pool;
  unsigned index;            /* among the pool's workers */
  struct braid_child *child; /* NULL: none runs */
  atomic_int pid;            /* of the child; 0: none runs. Any thread */
  struct braid_connection connection;
  struct braid_errand ended; /* stands in the child's wait queue */
  bool told;                 /* that there will be no more jobs */
  int64_t doomed;            /* when it was to end; 0: it is not */
  int64_t overdue;           /* ns that it, or one of its jobs, should have ended before */
  int killed;                /* signals that were sent to make it end */
  int refusals;              /* how often the system refused to start it, in a row */
  int shortage;              /* for want of what it could not become a worker (an error number); 0: it could */
  bool again;                /* so it is to be tried again */
  bool asked;                /* for a sign of life, and has not answered */
  bool heard;                /* it has answered once */
  bool silent;               /* it was killed because it did not answer */
  int64_t asked_at, silence; /* when it was asked; ns that there has been none since */
  uint64_t signs;            /* of the connection, when it was looked at last */

  /* Guarded. */
  bool usable; /* its connection can be used */
  bool ready;  /* its init has run */
  bool stuck;  /* does not begin what it has: gets no jobs until it replies */
  unsigned slots, in_flight;
  unsigned *free_slots;    /* a stack of slots - in_flight */
  struct braid_job **jobs; /* by slot */
  uint64_t next_ticket;    /* of the next job, without the slot */
  struct braid_job_flag *flags;
  uint64_t replies, seen_replies;
  uint64_t waiting; /* the ticket of what it has longest and has not begun, when that was looked for last; 0: none */
  int64_t waiting_since;
};

/* Room for so many jobs; false when memory is out. */
bool braid_worker_handle_init(struct braid_worker_handle *worker, struct braid_process_pool *pool, unsigned index,
                              unsigned slots);
void braid_worker_handle_term(struct braid_worker_handle *worker);

/* The I/O thread: starts the process, opens the connection and puts the settings; 0 or an error number. Handlers and
 * `ended` are the caller's to set. */
int braid_worker_handle_start(struct braid_worker_handle *worker, struct braid_io_thread *io_thread,
                              const struct braid_process_plan *plan);

/* The I/O thread, when the process has ended and its jobs have been taken away: forgets it, closes the connection. */
void braid_worker_handle_close(struct braid_worker_handle *worker);

/* Guarded: the job is sent by the next flush of the connection; at once. */
void braid_worker_handle_assign(struct braid_worker_handle *worker, struct braid_job *job);
void braid_worker_handle_send(struct braid_worker_handle *worker, struct braid_job *job);

/* Guarded: the job with this ticket, which is not the worker's any more; NULL: it has none. */
struct braid_job *braid_worker_handle_release(struct braid_worker_handle *worker, uint64_t ticket);

/* Guarded: whether it can be sent a job. */
static inline bool braid_worker_handle_is_open(const struct braid_worker_handle *worker) {
  return worker->usable && worker->ready && !worker->stuck;
}

/* Guarded: the ticket of the job that was sent first of those that it has not begun; 0: there is none. */
uint64_t braid_worker_handle_waiting(const struct braid_worker_handle *worker);

/* Guarded: the job that was sent last of those that it has not begun, recalled; NULL: there is none. */
struct braid_job *braid_worker_handle_recall(struct braid_worker_handle *worker);

/* Guarded: asks a job that a worker has begun to end; all of a worker's. */
void braid_worker_handle_stop(struct braid_job *job);
void braid_worker_handle_stop_all(struct braid_worker_handle *worker);

/* Guarded: when the first of its jobs should have ended that was asked to, or that is over its time; 0: none. */
int64_t braid_worker_handle_deadline(const struct braid_worker_handle *worker, int64_t time_limit);

/* The I/O thread, now and then, `elapsed` after the last time: it should have ended by the deadline (0: there is
 * none). SIGTERM after a grace, SIGKILL after another. */
void braid_worker_handle_press(struct braid_worker_handle *worker, int64_t deadline, int64_t now, int64_t elapsed);

/* The I/O thread, now and then, guarded: somebody depends on it, so it is asked for a sign of life. True when it
 * has given none for so long that its jobs are to go elsewhere: it is frozen (SIGSTOP, a debugger), most likely. */
bool braid_worker_handle_is_silent(struct braid_worker_handle *worker, bool suspect, int64_t now, int64_t elapsed);

/* The I/O thread: kills one that is silent. With jobs that it has begun only after a longer silence. */
void braid_worker_handle_kill_silent(struct braid_worker_handle *worker, bool has_begun);

/* Guarded: what becomes of a job that it had begun when it died. */
enum braid_job_outcome braid_worker_handle_fate(const struct braid_worker_handle *worker, const struct braid_job *job,
                                                int64_t time_limit);

/* Guarded: how many of its jobs it has begun; which, at most so many, each with a reference for the caller. */
unsigned braid_worker_handle_begun(const struct braid_worker_handle *worker);
unsigned braid_worker_handle_list_begun(const struct braid_worker_handle *worker, struct braid_begun *list,
                                        unsigned room);

#endif
