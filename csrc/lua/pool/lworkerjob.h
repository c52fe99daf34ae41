/* SPDX-License-Identifier: MIT
 * The jobs that a worker has begun: how they run, stop and end. The worker's own thread; nothing blocks. */
#ifndef BRAID_LWORKERJOB_H
#define BRAID_LWORKERJOB_H

#include <signal.h>

#include "core/inspect/poke.h"
#include "core/loop/thread_timer.h"
#include "lua/pool/lworker.h"
#include "lua/state/lstate.h"

#define JOB_METATABLE "braid.job"

struct worker {
  struct sched_worker base; /* for its state */
  struct braid_worker *core;
  const struct worker_settings *settings;
  struct sched *sched;
  struct lstate_memory memory;
  struct braid_list active; /* jobs that it has begun */
  struct scope *init;       /* the scope of the init while it runs, or NULL */
  struct stop init_stop;
  uint64_t taken;                  /* jobs that this state took */
  size_t floor;                    /* bytes in use after the last collection */
  size_t outside;                  /* bytes outside of Lua that jobs have used since */
  bool holds;                      /* jobs have brought shared objects since */
  int64_t spread;                  /* when it last moved to its core */
  struct braid_thread_timer timer; /* for jobs that never wait */
  int timer_error;                 /* why it has no timer */
  bool has_timer, failed;
  struct braid_poke_target poke_target;
  volatile sig_atomic_t listens; /* whether pokes may touch the state */
  bool made, ready;              /* of the state: it has all that it needs; its init has run */
  bool again;                    /* it could not be made, and is tried again */
  int tries;                     /* tries that failed without a known cause */
  int shortage;                  /* the error number of the shortage that ended the state; 0: none */
};

/* A job that was begun: a userdata that lives until the job has ended. */
struct active {
  struct worker *worker;
  struct braid_job *job; /* NULL: it has ended */
  struct braid_list link;
  struct scope *scope;
  struct task *task; /* the task that runs it */
  int64_t began, ended, deadline;
  unsigned shown;   /* how much of the tree had been shown when it was entered */
  struct stop stop; /* spares the task, except while the user's code runs */
  bool out_of_time, out_of_memory;
};

/* Returns the worker of a state; NULL: the state is a script's. */
static inline struct worker *worker_of(const struct sched *sched) {
  return sched->worker ? braid_container(sched->worker, struct worker, base) : NULL;
}

/* Registers the class of jobs, and pushes its metatable. */
void workerjob_open(lua_State *L);

/* Begins the job in the item. False: it was cancelled. */
bool workerjob_begin(struct worker *worker, struct active *active, struct braid_item item);

/* The running task has entered this scope for the job. From here on a stop or a limit cancels the scope. */
void workerjob_enter(struct active *active, struct scope *scope);

/* A C function for protected calls; argument: the job. Calls the job's function with its arguments. Suspends. */
int workerjob_run(lua_State *L);

/* That call has ended with this status. Returns whether the function has returned. */
bool workerjob_ran(lua_State *L, struct active *active, int status);

/* Sends home the values from `index` on as results; pops them. If they cannot be sent, the job fails. Does not raise.
 */
void workerjob_reply(lua_State *L, struct active *active, int index);

/* Cancels the jobs that must end. Runs in the loop's turn and in the hook; runs no Lua. */
void workerjob_look(struct sched_worker *base);

/* Handles pokes. Runs in the signal handler on the worker's own thread, between any two instructions. */
void workerjob_on_poke(struct braid_poke_target *target);

/* Encodes `count` values from `index` on, to be sent. Raises when one cannot be sent; `what` names it. */
struct braid_message *workerjob_encode_reply(lua_State *L, int index, int count, const char *what);

/* Encodes an error and its traceback. If the error cannot be sent, its text is. NULL when memory is out. */
struct braid_message *workerjob_pack_failure(lua_State *L, int error, int traceback);

#endif
