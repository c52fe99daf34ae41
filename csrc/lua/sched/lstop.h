/* SPDX-License-Identifier: MIT
 * Stopping Lua code that computes, by a debug hook that raises the cancel in it: a job's, a task's, whatever runs below
 * them and in coroutines of theirs. The state's own thread; nothing blocks.
 *
 * Who wants something stopped marks it, and then either calls stop_begin on the state's own thread, or has a signal
 * handler on it call stop_poke, which makes the state look for marks (sched->worker) and call stop_begin itself.
 *
 * How the hook is armed, so that no request is lost:
 * - stop_poke sets `poked`, then arms the hook in the coroutine that computes.
 * - Whoever lets another coroutine compute (sched_compute) sets `computing`, and then arms the hook there when `poked`
 *   is set or a stop stands. A poke comes before that look, or after `computing` was set.
 * - Where the hook is armed already, it is armed to come soon when what goes on has had its time: each coroutine counts
 *   its own instructions, and code that keeps going from one to the next would hardly ever be looked at.
 * - The hook is disarmed first, then `poked` is cleared, then it is looked for marks: what comes later pokes again.
 * - The hook is armed anew as long as a stop stands for the code in which it was called.
 * Where a poke meets the one instruction in which Lua itself forgets a hook that was just disarmed, the next poke finds
 * it: who pokes does so again until it was looked (see lworker). */
#ifndef BRAID_LSTOP_H
#define BRAID_LSTOP_H

#include <lua.h>
#include <signal.h>

#include "lua/sched/ltree.h"

struct sched;

/* What is to end. The owner's, who sets root and spared; it stands between stop_begin and stop_end. */
struct stop {
  struct braid_list link;    /* NULL: it does not stand */
  const void *root;          /* a cancelled scope, or task: it and all below it */
  const struct task *spared; /* in whose own code nothing is raised now; NULL: none */
  unsigned spent, raised;    /* instructions, roughly: computed since it began; of these, when it was raised last, or by
                              * a wait for the first time in a task */
  int64_t held, held_then;   /* ns: the same, C functions that it called included */
};

/* Of one state. */
struct stopper {
  lua_State *volatile computing; /* the innermost coroutine whose code runs; NULL: the loop */
  volatile sig_atomic_t poked;   /* the hook has something to look at, whichever coroutine computes */
  struct braid_list stops;       /* that stand */
  unsigned count;                /* of them */
  struct stop stray;             /* for what is below no root */
  lua_State *put_off_in;         /* where the hook was called without raising yet */
  unsigned put_off;              /* how often */
  const struct task *sampled_in; /* who computed when the clock was read last */
  int64_t sampled;
  bool hurries; /* the script has ended: what still computes is to end with it */
};

/* The state's hook stops what computes, from here on. Raises when memory is out. */
void stop_open(lua_State *L, struct sched *sched);

/* Another coroutine computes, and something may have to be stopped in it: see sched_compute. */
void stop_rearm(struct sched *sched);

/* The task is stopped wherever it stands when the time that the script's end gives (sched->grace) is over. `sched`: its
 * scheduler; fits tree_walk. */
void stop_hurry(struct task *task, void *sched);

/* From now on what computes in it is stopped wherever that is, but not inside a shield: at once; code that catches the
 * error and goes on some 10 ms of computing later; and at every instruction when all have computed for some 100 ms. In
 * code that mostly calls slow C functions these are 100 ms and 1 s. */
void stop_begin(struct sched *sched, struct stop *stop);

/* Nothing happens when it does not stand. */
void stop_end(struct sched *sched, struct stop *stop);

static inline bool stop_stands(const struct stop *stop) { return stop->link.next != NULL; }

/* The hook is called soon. Also in signal handlers on the state's thread. */
void stop_soon(struct sched *sched);

/* A wait raises a cancel in the current task for the first time: there is time for cleaning up from here on. */
void stop_note(struct sched *sched);

/* Before `from` lets code of `co` go on: what is to stop the one meets the other. A hook of ours that waits in `co` for
 * what is over, a job that was stopped, makes room for the user's. */
void stop_hand_on(struct sched *sched, lua_State *from, lua_State *co);

/* The current task has left a scope, a shield perhaps: what has no time left is stopped now. */
void stop_unshield(struct sched *sched);

/* The hook is called in `co` after so many instructions; where another coroutine computes before that, soon. */
void stop_look(struct sched *sched, lua_State *co, int instructions);

/* The hook is called in `co`. Where a coroutine.wrap from before braid was there lets it compute, unknown to us, the
 * hook is called soon in what called that, too. */
void stop_follow(struct sched *sched, lua_State *co);

/* In a signal handler on the state's thread: the state is to look for marks, wherever it computes. To be repeated from
 * time to time while a stop stands. */
void stop_poke(struct sched *sched);

#endif
