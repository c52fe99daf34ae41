/* SPDX-License-Identifier: MIT
 * The jobs that a worker has begun: how they run, are stopped and go home. The worker's own thread. */
#ifndef BRAID_LWORKERJOB_H
#define BRAID_LWORKERJOB_H

#include <signal.h>

#include "core/inspect/poke.h"
#include "core/loop/thread_timer.h"
#include "lua/pool/lworker.h"
#include "lua/state/lstate.h"

#define JOB_METATABLE "braid.job"

struct worker {
  struct sched_worker base; /* of its state */
  struct braid_worker *core;
  const struct worker_settings *settings;
  struct sched *sched;
  struct lstate_memory memory;
  struct braid_list active; /* jobs that are begun */
  struct scope *init;       /* in which the init runs, or NULL */
  struct stop init_stop;
  uint64_t taken;                  /* by this state */
  size_t floor;                    /* bytes in use when all garbage had been collected last */
  size_t outside;                  /* bytes that jobs have used since, of which Lua's collector does not know */
  bool holds;                      /* jobs have brought shared objects since */
  int64_t spread;                  /* when it last went to a core of its own */
  struct braid_thread_timer timer; /* for jobs that never wait */
  int timer_error;                 /* why there is none */
  bool has_timer, failed;
  struct braid_poke_target poke_target;
  volatile sig_atomic_t listens; /* to pokes: its state is there, and will be for a while */
  bool made, ready;              /* the state: it has all that it needs, and its init has run */
  bool again;                    /* it has not, and is to be made again */
  int tries;                     /* how often it was not, for no reason that is known */
  int shortage;                  /* an error number: for want of what the state has ended; 0: it has not */
};

/* A job that is begun: userdata, alive until the job has gone home. */
struct active {
  struct worker *worker;
  struct braid_job *job; /* NULL: gone home */
  struct braid_list link;
  struct scope *scope;
  struct task *task; /* who runs it */
  int64_t began, deadline;
  struct stop stop; /* spares the task but while the user's code runs */
  bool out_of_time, out_of_memory;
};

/* Whose state it is; NULL: a script's. */
static inline struct worker *worker_of(const struct sched *sched) {
  return sched->worker ? braid_container(sched->worker, struct worker, base) : NULL;
}

/* Registers the class of jobs; pushes its metatable. */
void workerjob_open(lua_State *L);

/* The item's job is begun, if it was not cancelled. */
bool workerjob_begin(struct worker *worker, struct active *active, struct braid_item item);

/* Cancels what is to end: in the loop's turn and in the hook. Runs no Lua. */
void workerjob_look(struct sched_worker *base);

/* Pokes come here: in the signal's handler, on the worker's own thread, wherever it stands. */
void workerjob_on_poke(struct braid_poke_target *target);

/* So many values from `index` on, on their way home. Raises what cannot travel, by the name of `what`. */
struct braid_message *workerjob_encode_reply(lua_State *L, int index, int count, const char *what);

/* An error and its traceback. One that cannot travel as it is goes as its text. NULL when memory is out. */
struct braid_message *workerjob_pack_failure(lua_State *L, int error, int traceback);

#endif
