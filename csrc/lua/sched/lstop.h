/* SPDX-License-Identifier: MIT
 * Stops Lua code that computes, by a debug hook that raises the cancel in it. It stops a job or a task, all tasks below
 * it, and their coroutines. The state's own thread; nothing blocks.
 *
 * To stop something, a caller marks it. Then it either calls stop_begin on the state's own thread, or a signal handler
 * on that thread calls stop_poke: the state then looks for marks (sched->worker) and calls stop_begin itself.
 *
 * These rules arm the hook so that no request is lost:
 * - stop_poke sets `poked`, then arms the hook in the coroutine that computes.
 * - Code that resumes another coroutine (sched_compute) sets `computing`. Then it arms the hook there if `poked` is set
 *   or a stop is active. So a poke comes before that check, or after `computing` was set.
 * - If the hook is already armed and the time to clean up is over, it is armed again to be called soon. Reason: each
 *   coroutine counts its own instructions, so code that switches between coroutines would hardly ever be stopped.
 * - The hook first disarms itself, then clears `poked`, then looks for marks. A later request pokes again.
 * - The hook is armed again as long as a stop is active for the code in which it was called.
 * In one instruction Lua itself forgets a hook that was just disarmed. A poke at that moment is lost, so whoever pokes
 * repeats it until the state has looked (see lworker). */
#ifndef BRAID_LSTOP_H
#define BRAID_LSTOP_H

#include <lua.h>
#include <signal.h>

#include "lua/sched/ltree.h"

struct sched;

/* A request to stop. Its owner sets root and spared, and keeps it valid from stop_begin to stop_end. */
struct stop {
  struct braid_list link;    /* NULL: it is not active */
  const void *root;          /* a cancelled scope or task: it and all below it have to stop */
  const struct task *spared; /* no error is raised in this task's own code now; NULL: none */
  unsigned spent, raised;    /* instructions, roughly: computed since it began; of these, when it was raised last, or by
                              * a wait for the first time in a task */
  int64_t held, held_then;   /* ns: the same two, with the C functions that the code calls */
};

/* The part of one state. */
struct stopper {
  lua_State *volatile computing; /* the innermost coroutine whose code runs; NULL: the loop */
  volatile sig_atomic_t poked;   /* the hook has something to look at, whichever coroutine computes */
  struct braid_list stops;       /* the active stops */
  unsigned count;                /* their number */
  struct stop stray;             /* for code that is below no root */
  lua_State *put_off_in;         /* where the hook was called and has not raised yet */
  unsigned put_off;              /* how often that was */
  const struct task *sampled_in; /* who computed when the clock was last read */
  int64_t sampled;
  bool hurries; /* the script has ended: code that still computes must end, too */
};

/* From now on the state's hook stops code. Raises when memory is out. */
void stop_open(lua_State *L, struct sched *sched);

/* Another coroutine computes now; the hook may have to be armed in it. Called by sched_compute. */
void stop_rearm(struct sched *sched);

/* Stops the task wherever it is when the time to clean up at the script's end (sched->grace) is over. `sched` is its
 * scheduler. Has the signature for tree_walk. */
void stop_hurry(struct task *task, void *sched);

/* Activates a stop. From now on code below its root is stopped wherever it is, except inside a shield. The first error
 * is raised at once. Code that catches it and goes on is stopped again after about 10 ms of computing; after about 100
 * ms of computing in all, every instruction raises. For code that mostly calls slow C functions the times are 100 ms
 * and 1 s. */
void stop_begin(struct sched *sched, struct stop *stop);

/* Ends a stop. Does nothing if it is not active. */
void stop_end(struct sched *sched, struct stop *stop);

static inline bool stop_stands(const struct stop *stop) { return stop->link.next != NULL; }

/* The hook is called soon. Also in signal handlers on the state's thread. */
void stop_soon(struct sched *sched);

/* A wait raises a cancel in the current task for the first time: its time to clean up begins now. */
void stop_note(struct sched *sched);

/* Called before `from` resumes `co`. If the hook is armed in `from`, it is armed in `co`. A hook of braid that is left
 * in `co` from a stop that is over is replaced by the user's. */
void stop_hand_on(struct sched *sched, lua_State *from, lua_State *co);

/* The current task has left a scope, which may have been a shield: code without time left is stopped now. */
void stop_unshield(struct sched *sched);

/* A shield ends in which nobody has looked at a stop that came meanwhile: the code after it gets the time that it would
 * have had after such a look, so a job that is at its end comes to it. */
void stop_rest(struct sched *sched);

/* The hook is called in `co` after so many instructions. If another coroutine computes before that, it is called soon
 * there. */
void stop_look(struct sched *sched, lua_State *co, int instructions);

/* Called by the hook in `co`. A coroutine.wrap from before braid was loaded may have resumed `co` without our
 * knowledge. Then the hook is armed in the coroutine that called it, too. */
void stop_follow(struct sched *sched, lua_State *co);

/* For signal handlers on the state's thread: the state looks for marks, whichever code computes. The caller repeats it
 * from time to time while the stop is active. */
void stop_poke(struct sched *sched);

#endif
