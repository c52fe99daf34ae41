/* SPDX-License-Identifier: MIT
 * The scheduler of one Lua state: it resumes tasks, and it is how a C function waits. Everything here: the state's
 * own thread.
 *
 * A function that may have to wait is written so:
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
 * Inside a task sched_park yields. Outside every task it turns the loop right here until the waiter is home.
 * Between sched_begin and sched_park nothing may raise and nothing may run Lua. What the wait needs lives outside the
 * C stack: in the waiter's node, in a userdata that is on the Lua stack. */
#ifndef BRAID_LSCHED_H
#define BRAID_LSCHED_H

#include <lua.h>

#include "core/inspect/poke.h"
#include "core/inspect/states.h"
#include "lua/sched/lhook.h"
#include "lua/sched/lseal.h"
#include "lua/sched/lstop.h"
#include "lua/sched/ltree.h"

/* What the watchdog's thread knows of a step that it has seen; its own. */
struct watched {
  uint64_t step;
  struct task *task;  /* whose it is ... */
  int64_t since;      /* ... since when ... */
  uint8_t complaints; /* ... and how often it was complained of */
};

/* What a wait at the bottom of the tower needs of the rooms above it, which know all kinds of waiters. The same for
 * every state, and set when the module is opened: see lturn.c. */
struct sched_driver {
  bool (*turn)(struct sched *sched, int64_t deadline); /* turn_once */
  void (*attend)(struct sched *sched);                 /* states_attend: answers what the state was asked */
};

/* Part of who serves a pool's jobs in the state. */
struct sched_worker {
  /* The loop was asked for attention, or the hook came: ends what is marked. In place of SIGINT's; runs no Lua. */
  void (*look)(struct sched_worker *worker);
};

struct sched {
  struct braid_loop loop;
  struct tree tree;
  const struct sched_driver *driver;
  struct sched_worker *worker; /* NULL: the state is a script's */
  lua_State *L;                /* the main state */
  struct task *current;        /* who runs: a task, or the script */
  lua_State *running;          /* the coroutine in which it may wait; NULL inside callbacks */
  struct task *main;           /* of braid.run: SIGINT is for it; NULL: for the script */
  struct hook_store hooks;
  struct seal seal;                   /* of the coroutines that only the loop may go on with */
  struct stopper stopper;             /* of code that computes */
  int64_t interrupt_seen;             /* when code that computes was seen to have come SIGINT upon it; 0: it has not */
  struct braid_list held;             /* locks that tasks of this state hold */
  struct call_finishers *finishers;   /* of lcall */
  struct task_store *store;           /* idle coroutines, for ltask */
  int task_metatable;                 /* where it is in the registry */
  const void *task_class;             /* its address */
  const void *named_task_class;       /* that of tasks with a name; NULL: none has one yet */
  lua_CFunction task_body, wrap_body; /* at the bottom of the coroutines that only the loop may go on with */
  struct braid_list aside, abandoned; /* generators between two steps, with scopes inside; without an iterator */
  bool locals;                        /* some task has asked for its locals */
  size_t outside;                     /* bytes of arrays that this state has made: see lworker */
  struct braid_list pools;            /* that this state has made, until their threads have ended */
  unsigned jobs;                      /* that are not home yet */
  struct braid_state state;           /* as others see it */
  struct braid_poke_target poke_target; /* of a script's */
  struct watched watched;
  unsigned next_look, interval; /* in steps: when the clock is looked at, and how long to the look after */
  unsigned steps;               /* since the loop was last polled */
  unsigned quick;               /* calls that did not have to wait, since somebody last did */
  unsigned turns;               /* of select, which begins each time with another case */
  int64_t polled;               /* when the loop was last polled */
  uint32_t stamp;               /* flags of tasks that park now: that they do, and since when */
  void *sentinel;               /* the object whose end is the state's */
  bool leaving;                 /* the script ends by an error, or by os.exit: nothing is waited for */
  bool ending;                  /* its end waits for the jobs of its pools */
  bool closing;
  int64_t grace; /* then: when it is over */
};

/* The scheduler of the state: the first upvalue of every function that needs it. */
static inline struct sched *sched_of(lua_State *L) { return (struct sched *)lua_touserdata(L, lua_upvalueindex(1)); }

/* Begins a wait. Raises when L cannot wait here (names the reason and the way out) or is cancelled. */
struct braid_waiter *sched_begin(lua_State *L, struct sched *sched);

/* Raises in a process that was forked from the one that uses braid. */
void sched_refuse_fork(lua_State *L);
static inline void sched_check_fork(lua_State *L) {
  if (__builtin_expect(braid_loop_is_fork, false)) sched_refuse_fork(L);
}

/* Whether it may wait here. */
bool sched_may_wait(lua_State *L, const struct sched *sched);

/* Raises where L cannot wait: for what will have to wait at its end, as a scope has. */
void sched_check(lua_State *L, struct sched *sched);

/* The same without looking for a cancel: the wait will not be cancelled. For giving back what was taken. */
struct braid_waiter *sched_begin_masked(lua_State *L, struct sched *sched);

/* A wait that turned out not to be needed: the wait node has joined nothing. */
void sched_forget(struct sched *sched);

/* Parks until the waiter is home or `deadline` passes (BRAID_NEVER: none). `return sched_park(...)`. */
int sched_park(lua_State *L, struct sched *sched, int64_t deadline, lua_KFunction k, lua_KContext context);

/* How the wait ended. The waiter of the current task is free again, its node has left its wait queue. */
enum braid_status sched_end(struct sched *sched);

/* The waiter of whoever runs: in a continuation, its node holds what the wait brought. */
static inline struct braid_waiter *sched_waiter(struct sched *sched) { return &sched->current->waiter; }

/* The loop was polled just now. */
void sched_set_polled(struct sched *sched, int64_t now);

/* For how many seconds a parked task has waited, to some 0.1 s. */
double sched_waited(const struct task *task);

static inline bool sched_stopped(enum braid_status status) {
  return status == BRAID_CANCELLED || status == BRAID_INTERRUPTED || status == BRAID_DEADLOCK;
}

/* Raises the error for a wait that was cancelled, interrupted or deadlocked. Never returns. */
int sched_raise(lua_State *L, struct sched *sched, enum braid_status status);

/* The same for hooks: sched_raise lets others run first when it was raised before, and code goes on all the same. */
int sched_raise_now(lua_State *L, struct sched *sched, enum braid_status status);

/* Pushes the error of a task that is cancelled and has not begun. */
void sched_push_unbegun(lua_State *L, struct sched *sched, const struct task *task);

/* Pushes the userdata of a task that has not ended. */
void sched_push_task(lua_State *L, const struct task *task);

/* For calls that can do without waiting: raises when cancelled; true when others should run first, so the caller
 * parks with sched_pass instead of going on. */
bool sched_enter(lua_State *L, struct sched *sched);

/* Whether nothing else is ready in this loop, so that it may look for a moment before it waits. */
static inline bool sched_is_alone(const struct sched *sched) { return !sched->loop.ready.first; }

/* Whether sched_begin would not raise: for who must give something up first. */
bool sched_may_begin(lua_State *L, struct sched *sched);

/* For a function that tries before it waits: raises when cancelled; calls k with LUA_OK, or, when others should run
 * first, lets them, and calls k with LUA_YIELD. k begins with sched_entered. `return sched_attempt(...)`. */
int sched_attempt(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context);
static inline void sched_entered(struct sched *sched, int status) {
  if (status == LUA_YIELD) sched_end(sched);
}

/* Raises when cancelled; lets others run, then calls k; NULL: returns to Lua. `return sched_pass(...)`. */
int sched_pass(lua_State *L, struct sched *sched, lua_KFunction k, lua_KContext context);

/* Somebody may have asked what the state does. */
static inline void sched_attend(struct sched *sched) {
  if (atomic_load_explicit(&sched->state.asked, memory_order_relaxed)) sched->driver->attend(sched);
}

/* Somebody may have asked a job to end. */
static inline void sched_look_for_stops(struct sched *sched) {
  if (sched->worker) sched->worker->look(sched->worker);
}

/* Ends the running coroutine's frame for callbacks: nothing may wait until they are over. */
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

/* From here on the code of `co` computes. Returns whose did, for when `co` has yielded or ended. */
static inline lua_State *sched_compute(struct sched *sched, lua_State *co) {
  struct stopper *stopper = &sched->stopper;
  lua_State *before = stopper->computing;
  stopper->computing = co;
  if (__builtin_expect(stopper->count > 0 || stopper->poked, 0)) stop_rearm(sched);
  return before;
}

/* Registers functions with the scheduler as first upvalue in the table on the top of the stack. */
struct luaL_Reg;
void sched_register(lua_State *L, const struct luaL_Reg *functions);

/* A metatable `name` with these methods (and metamethods, by their names) and __index to itself; pushes it. */
void sched_class(lua_State *L, const char *name, const struct luaL_Reg *functions);

/* Creates the state's scheduler, or finds it; pushes nothing. Raises when the system refuses. */
struct sched *sched_open(lua_State *L);

#endif
