/* SPDX-License-Identifier: MIT
 * The scheduler of one Lua state: its loop, its tree of tasks, and the way in which a C function waits. Everything
 * here: the state's own thread.
 *
 * A function that may wait has this form:
 *
 *   static int wait_k(lua_State *L, int status, lua_KContext context) {   // goes on after the wait
 *     struct sched *sched = sched_of(L);
 *     enum braid_status end = sched_end(sched);           // BRAID_OK, BRAID_TIMEOUT, BRAID_CANCELLED, ...
 *     ... give back whatever the wait used ...
 *     if (sched_stopped(end)) return sched_raise(L, sched, end);           // cancelled or interrupted
 *     ... push results ...
 *   }
 *   static int wait(lua_State *L) {
 *     struct sched *sched = sched_of(L);
 *     struct braid_waiter *waiter = sched_begin(L, sched);  // raises where L may not wait, or is cancelled
 *     ... let the waiter's node wait somewhere: in a wait queue, on a watch, a transfer ...
 *     return sched_park(L, sched, deadline, wait_k, context);
 *   }
 *
 * Inside a task sched_park yields. Outside every task it turns the loop right here until the waiter is home, that is,
 * until it has ended and the loop has handed it out. Between sched_begin and sched_park nothing may raise and nothing
 * may run Lua. What the wait needs must live outside the C stack: in the waiter's node, or in a userdata on the Lua
 * stack. */
#ifndef BRAID_LSCHED_H
#define BRAID_LSCHED_H

#include <lua.h>

#include "core/inspect/poke.h"
#include "core/inspect/states.h"
#include "lua/sched/lhook.h"
#include "lua/sched/lseal.h"
#include "lua/sched/lstop.h"
#include "lua/sched/ltree.h"

/* What the watchdog's thread has seen of a step. Only that thread uses it. */
struct watched {
  uint64_t step;
  struct task *task;  /* the task that the step belongs to */
  int64_t since;      /* when the step was first seen */
  uint8_t complaints; /* number of complaints about it */
};

/* Functions of rooms above that a wait at the bottom of the tower needs; they know all kinds of waiters. All states
 * share one table, which is set when the module is opened: see lturn.c. While a test simulates, another one is set: see
 * lsimulation.c. */
struct sched_driver {
  bool (*turn)(struct sched *sched, int64_t deadline);          /* turn_once */
  void (*attend)(struct sched *sched);                          /* states_attend: answers what the state was asked */
  void (*sample)(struct sched *sched, lua_State *L, int level); /* sample_take: the state was asked for a sample */
  unsigned (*choose)(struct sched *sched, unsigned count);      /* the case, from 0, with which a select begins */
};

/* The part of a worker that the scheduler knows. */
struct sched_worker {
  /* Called when the loop was asked for attention, and by the hook. Ends the jobs that are marked. Replaces the reaction
   * to SIGINT. Runs no Lua. */
  void (*look)(struct sched_worker *worker);
};

struct simulation;

/* Places in a table of the registry for futures of jobs that are not home: see lpooljob.c. */
struct job_slots {
  int *free; /* has room for all that were made */
  int count, room, made;
};

struct sched {
  struct braid_loop loop;
  struct tree tree;
  const struct sched_driver *driver;
  struct simulation *simulation; /* the one that runs; NULL: none */
  bool solitary; /* in a simulation: as long as there are no pools, what is encoded is only decoded here */
  struct sched_worker *worker; /* NULL: the state is a script's */
  lua_State *L;                /* the main state */
  struct task *current;        /* the running task, or the script */
  lua_State *running;          /* the coroutine that may wait; NULL inside callbacks */
  struct task *main;           /* the task of braid.run: SIGINT cancels it; NULL: the script */
  struct hook_store hooks;
  struct seal seal;                   /* of coroutines that only the loop may resume */
  struct stopper stopper;             /* stops code that computes */
  int64_t interrupt_seen;             /* when computing code was first seen to run on after SIGINT; 0: not yet */
  struct braid_list held;             /* locks that tasks of this state hold */
  struct call_finishers *finishers;   /* for lcall.c */
  struct task_store *store;           /* idle coroutines, for ltask */
  int task_metatable;                 /* its reference in the registry */
  const void *task_class;             /* its address */
  const void *named_task_class;       /* the same for tasks with a name; NULL: there is none yet */
  lua_CFunction task_body, wrap_body; /* bodies of coroutines that only the loop may resume */
  struct braid_list aside, abandoned; /* generators at a yield that have scopes inside; those without an iterator */
  bool locals;                        /* whether some task has asked for its locals */
  bool carries;                       /* whether something goes along with jobs and items: see lcarry.h */
  size_t outside;                     /* bytes of arrays that this state has made: see lworker */
  struct braid_list pools;            /* pools that this state has made, until their threads have ended */
  unsigned jobs;                      /* jobs that are not home yet */
  struct job_slots job_slots;
  struct braid_state state;             /* the state as others see it */
  struct braid_poke_target poke_target; /* for SIGURG to a script's state */
  struct watched watched;
  unsigned next_look, interval; /* in steps: when to read the clock next, and the distance to the look after */
  unsigned steps;               /* steps since the loop was last polled */
  unsigned quick;               /* calls without a wait since somebody last waited */
  unsigned turns;               /* of select: each one begins with another case */
  int64_t polled;               /* when the loop was last polled */
  int64_t longest;              /* ns: the longest time between two polls, for metrics */
  uint32_t stamp;               /* the flags for a task that parks now: TASK_PARKED and the time */
  uint64_t passed;              /* steps of all turns before this one */
  uint64_t looked;              /* the same at the last look for deadlocks: see lwaits.c */
  int64_t look;                 /* when to look next; BRAID_NEVER: after the next step */
  char *verdict;                /* what the error of a wait says that was ended because of a deadlock; NULL: nothing */
  void *sentinel;               /* the object whose finalizer sees the end of the state */
  bool leaving;                 /* the script ends by an error or by os.exit: nothing is waited for */
  bool ending;                  /* the end of the script waits for the jobs of its pools */
  bool closing;
  int64_t grace; /* while closing: the end of the time to clean up */
};

/* The scheduler of the state. It is the first upvalue of every function that needs it. */
static inline struct sched *sched_of(lua_State *L) { return (struct sched *)lua_touserdata(L, lua_upvalueindex(1)); }

/* Begins a wait. Raises if L is cancelled, or cannot wait here; the error names the reason and the way out. */
struct braid_waiter *sched_begin(lua_State *L, struct sched *sched);

/* Raises in a process that was forked from one that uses braid. */
void sched_refuse_fork(lua_State *L);
static inline void sched_check_fork(lua_State *L) {
  if (__builtin_expect(braid_loop_is_fork, false)) sched_refuse_fork(L);
}

/* Whether L may wait here. */
bool sched_may_wait(lua_State *L, const struct sched *sched);

/* Raises if L cannot wait here. For what has to wait at its end, as a scope has. */
void sched_check(lua_State *L, struct sched *sched);

/* As sched_begin, but does not look for a cancel, and the wait is not cancelled. For giving back what was taken. */
struct braid_waiter *sched_begin_masked(lua_State *L, struct sched *sched);

/* Ends a wait that was begun and is not needed. Its wait node has joined no queue. */
void sched_forget(struct sched *sched);

/* Parks until the waiter is home or `deadline` passes (BRAID_NEVER: no deadline). Use: `return sched_park(...)`. */
int sched_park(lua_State *L, struct sched *sched, int64_t deadline, lua_KFunction k, lua_KContext context);

/* Returns how the wait ended. The waiter of the current task is free again; its node has left its wait queue. */
enum braid_status sched_end(struct sched *sched);

/* The waiter of the running task or script. In a continuation its node holds what the wait brought. */
static inline struct braid_waiter *sched_waiter(struct sched *sched) { return &sched->current->waiter; }

/* Notes that the loop was polled now. */
void sched_set_polled(struct sched *sched, int64_t now);

/* The seconds that a parked task has waited, accurate to about 0.1 s. */
double sched_waited(const struct task *task);

static inline bool sched_stopped(enum braid_status status) {
  return status == BRAID_CANCELLED || status == BRAID_INTERRUPTED || status == BRAID_DEADLOCK;
}

/* Raises the error for a wait that was cancelled, interrupted or deadlocked. Never returns to the caller. */
int sched_raise(lua_State *L, struct sched *sched, enum braid_status status);

/* The same for hooks, without a wait. (sched_raise lets other tasks run first if the cancel was raised before.) */
int sched_raise_now(lua_State *L, struct sched *sched, enum braid_status status);

/* Pushes the error of a task that was cancelled before it began. */
void sched_push_unbegun(lua_State *L, struct sched *sched, const struct task *task);

/* Pushes the userdata of a task that has not ended. */
void sched_push_task(lua_State *L, const struct task *task);

/* For calls that can succeed without a wait: raises if cancelled. Returns true if other tasks should run first; then
 * the caller parks with sched_pass instead of going on. */
bool sched_enter(lua_State *L, struct sched *sched);

/* Whether no other waiter is ready in this loop, so that the caller may spin for a moment before it waits. */
static inline bool sched_is_alone(const struct sched *sched) { return !sched->loop.ready.first; }

/* Whether sched_begin would not raise. For callers that must give something up first. */
bool sched_may_begin(lua_State *L, struct sched *sched);

/* For a function that tries before it waits. Raises if cancelled. Calls k with LUA_OK; or, if other tasks should run
 * first, lets them run and then calls k with LUA_YIELD. k begins with sched_entered. Use: `return sched_attempt(...)`.
 */
int sched_attempt(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context);
static inline void sched_entered(struct sched *sched, int status) {
  if (status == LUA_YIELD) sched_end(sched);
}

/* For a task that goes from one piece of work to the next without a wait: whether the loop should poll first, because
 * it was polled long before `now`. Then the caller parks with sched_pass. */
bool sched_is_due(struct sched *sched, int64_t now);

/* Raises if cancelled; lets other tasks run, then calls k. NULL: returns to Lua. Use: `return sched_pass(...)`. */
int sched_pass(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context);

/* Answers if somebody has asked what the state does. */
static inline void sched_attend(struct sched *sched) {
  if (atomic_load_explicit(&sched->state.asked, memory_order_relaxed)) sched->driver->attend(sched);
}

/* Called by the hook first of all, while the frames are as they were when the profile asked. Where a function is about
 * to be called, its caller has run. */
static inline void sched_sample(struct sched *sched, lua_State *L, const lua_Debug *ar) {
  unsigned asked = atomic_load_explicit(&sched->state.asked, memory_order_relaxed);
  if (asked & BRAID_STATE_SAMPLE) sched->driver->sample(sched, L, ar->event == LUA_HOOKCALL);
}

/* In a worker: ends the jobs that somebody has asked to end. */
static inline void sched_look_for_stops(struct sched *sched) {
  if (sched->worker) sched->worker->look(sched->worker);
}

/* Saves who runs while callbacks run: in a callback nothing may wait. sched_return restores it. */
struct sched_frame {
  struct task *current;
  lua_State *running;
};
static inline struct sched_frame sched_callbacks(struct sched *sched) {
  struct sched_frame frame = {sched->current, sched->running};
  sched->current = &sched->tree.script;
  sched->running = NULL;
  return frame;
}
static inline void sched_return(struct sched *sched, struct sched_frame frame) {
  sched->current = frame.current;
  sched->running = frame.running;
}

/* The code of `co` computes from now on. Returns the coroutine that computed before; the caller restores it when `co`
 * has yielded or ended. */
static inline lua_State *sched_compute(struct sched *sched, lua_State *co) {
  struct stopper *stopper = &sched->stopper;
  lua_State *before = stopper->computing;
  stopper->computing = co;
  if (__builtin_expect(stopper->count > 0 || stopper->poked, 0)) stop_rearm(sched);
  return before;
}

/* Adds functions to the table on the top of the stack, with the scheduler as their first upvalue. */
struct luaL_Reg;
void sched_register(lua_State *L, const struct luaL_Reg *functions);

/* Makes and pushes the metatable `name` with these methods (and metamethods, by their names). __index is itself. */
void sched_class(lua_State *L, const char *name, const struct luaL_Reg *functions);

/* Returns the state's scheduler; makes it first if there is none. Pushes nothing. Raises if the system refuses. */
struct sched *sched_open(lua_State *L);

#endif
