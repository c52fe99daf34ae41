/* SPDX-License-Identifier: MIT
 * A worker process, seen from its pool: the process, its connection, and the jobs that it was sent. "Guarded" means:
 * under the pool's mutex; everything else is for the I/O thread only. Nothing blocks, except the start of a process. */
#ifndef BRAID_WORKER_HANDLE_H
#define BRAID_WORKER_HANDLE_H

#include "core/process/connection.h"
#include "core/work/pool.h"

/* How workers are started, and their settings. */
struct braid_process_plan {
  char **argv;    /* one allocation; for the descriptors see BRAID_WORKER_CONNECTION */
  bool own;       /* runs this process's own program */
  void *settings; /* the body of the first frame, before the message */
  size_t settings_size;
  struct braid_message *table; /* the message */
  unsigned tasks;              /* jobs that a worker runs at once */
  int64_t time_limit;          /* ns that a job may take; 0: no limit */
};

/* Frees what the plan owns. Any thread. */
void braid_process_plan_free(struct braid_process_plan *plan);

/* A worker's descriptors: its connection, its job flags, and the pipes of its connection. */
enum { BRAID_WORKER_CONNECTION = 3, BRAID_WORKER_JOB_FLAGS = 4, BRAID_WORKER_PIPES = 5 };

struct braid_worker_handle {
  struct braid_process_pool *pool;
  unsigned index;            /* among the pool's workers */
  struct braid_child *child; /* NULL: none runs */
  atomic_int pid;            /* of the child, 0: none runs; any thread */
  struct braid_connection connection;
  pthread_mutex_t reading;   /* of the connection */
  struct braid_pipes *pipes; /* of the connection */
  struct braid_errand ended; /* waits in the child's wait queue */
  bool told;                 /* it was told that no more jobs will come */
  int64_t doomed;            /* when it was asked to end; 0: it was not */
  int64_t overdue;           /* ns for which it, or one of its jobs, is past the time to end */
  int killed;                /* 1: SIGTERM was sent; 2: SIGKILL was */
  int refusals;              /* how often in a row the system refused to start it */
  int shortage;              /* why it could not become a worker (an error number); 0: it could */
  bool again;                /* try again to start it */
  bool asked;                /* it was sent a PING, and has not answered */
  bool heard;                /* it has answered once */
  bool silent;               /* it was killed because it did not answer */
  int64_t asked_at, silence; /* when it was sent the PING; ns without a sign of life since */
  uint64_t signs;            /* connection.signs at the last look */

  /* Guarded. */
  bool usable; /* its connection works */
  bool ready;  /* its init has run */
  bool stuck;  /* it does not begin its jobs: it gets no more until it replies */
  unsigned slots, in_flight;
  unsigned *free_slots;    /* a stack; slots - in_flight of them are free */
  struct braid_job **jobs; /* by slot */
  uint64_t next_ticket;    /* of the next job, without the slot */
  struct braid_job_flag *flags;
  uint64_t replies, seen_replies;
  uint64_t waiting; /* at the last look: the oldest ticket that it had not begun; 0: none */
  int64_t waiting_since;
};

/* Makes room for `slots` jobs. False when memory is out. Any thread, before the pool is used. */
bool braid_worker_handle_init(struct braid_worker_handle *worker, struct braid_process_pool *pool, unsigned index,
                              unsigned slots);
void braid_worker_handle_term(struct braid_worker_handle *worker);

/* Starts the process, opens the connection and puts the settings. Returns 0 or an error number. The caller must set
 * handlers and `ended`. The I/O thread; blocks until the program is loaded. */
int braid_worker_handle_start(struct braid_worker_handle *worker, struct braid_io_thread *io_thread,
                              const struct braid_process_plan *plan);

/* The process has ended and its jobs were taken back: closes the connection and releases the child. The I/O thread. */
void braid_worker_handle_close(struct braid_worker_handle *worker);

/* Guarded: puts a job, which the next flush of the connection sends; puts it and flushes. */
void braid_worker_handle_assign(struct braid_worker_handle *worker, struct braid_job *job);
void braid_worker_handle_send(struct braid_worker_handle *worker, struct braid_job *job);

/* Guarded: takes the job with this ticket from the worker and returns it. NULL: there is none. */
struct braid_job *braid_worker_handle_release(struct braid_worker_handle *worker, uint64_t ticket);

/* Guarded: whether it can be sent jobs. */
static inline bool braid_worker_handle_is_open(const struct braid_worker_handle *worker) {
  return worker->usable && worker->ready && !worker->stuck;
}

/* Guarded: the ticket of the job that was sent first among those it has not begun; 0: there is none. */
uint64_t braid_worker_handle_waiting(const struct braid_worker_handle *worker);

/* Guarded: recalls the job that was sent last among those it has not begun. NULL: there is none. */
struct braid_job *braid_worker_handle_recall(struct braid_worker_handle *worker);

/* Guarded: asks a job that a worker has begun to end; the same for all jobs of a worker. */
void braid_worker_handle_stop(struct braid_job *job);
void braid_worker_handle_stop_all(struct braid_worker_handle *worker);

/* Guarded: the earliest time at which one of its begun jobs should have ended, because of a request or the time limit;
 * 0: none. */
int64_t braid_worker_handle_deadline(const struct braid_worker_handle *worker, int64_t time_limit);

/* To be called at each tick, `elapsed` ns after the last. The worker, or a job of it, should have ended by `deadline`
 * (0: none). Sends SIGTERM after some time, later SIGKILL. The I/O thread. */
void braid_worker_handle_press(struct braid_worker_handle *worker, int64_t deadline, int64_t now, int64_t elapsed);

/* To be called at each tick. `suspect`: something depends on the worker, so it is asked for a sign of life. True: it
 * has given none for so long that its jobs must go to other workers; most likely it is frozen (SIGSTOP, a debugger).
 * Guarded; the I/O thread. */
bool braid_worker_handle_is_silent(struct braid_worker_handle *worker, bool suspect, int64_t now, int64_t elapsed);

/* Kills a silent worker. If it has begun jobs, only after a longer silence. The I/O thread. */
void braid_worker_handle_kill_silent(struct braid_worker_handle *worker, bool has_begun);

/* Guarded: the outcome of a job that it had begun when it died. */
enum braid_job_outcome braid_worker_handle_fate(const struct braid_worker_handle *worker, const struct braid_job *job,
                                                int64_t time_limit);

/* Guarded: how many of its jobs it has begun. The second one writes up to `room` of them to `list`, each with a new
 * reference, and returns how many. */
unsigned braid_worker_handle_begun(const struct braid_worker_handle *worker);
unsigned braid_worker_handle_list_begun(const struct braid_worker_handle *worker, struct braid_begun *list,
                                        unsigned room);

#endif
