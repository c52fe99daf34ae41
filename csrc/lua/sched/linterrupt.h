/* SPDX-License-Identifier: MIT
 * The signals that braid answers: SIGINT and SIGQUIT while a script waits in the loop, and SIGURG, by which threads
 * that compute are poked and other processes ask (see core/inspect/question.h). */
#ifndef BRAID_LINTERRUPT_H
#define BRAID_LINTERRUPT_H

#include <lua.h>
#include <signal.h>

#include "core/inspect/answer.h"
#include "core/loop/loop.h"
#include "lua/sched/lhook.h"

/* What SIGINT is to do with a state. */
struct interrupt_target {
  struct braid_loop *loop;
  lua_State *volatile *computing; /* the coroutine whose code runs; NULL: none */
  struct hook_store *hooks;       /* of the state: its hook is armed there */
  volatile sig_atomic_t *poked;   /* set: who lets another compute has it armed there, too */
};

/* Instructions from one call to the next of a hook that was armed by SIGINT. */
enum { INTERRUPT_LOOK = 1000 };

/* From here to interrupt_end SIGINT asks the loop for attention and arms the hook, with INTERRUPT_LOOK, for code
 * that never waits; a second SIGINT ends the process with status 130. SIGQUIT has what all states do written to stderr.
 * A signal that somebody has ignored stays so. Nothing happens inside another such pair. The target stays the caller's
 * until interrupt_end. The main thread. */
void interrupt_begin(const struct interrupt_target *wanted);

/* The host's handlers are back. */
void interrupt_end(const struct interrupt_target *wanted);

/* Who tells what all states do. Starts nothing. Any thread. */
void interrupt_answer_by(braid_answer_collector *collect);

/* From the first call on SIGURG is ours, unless the host has a handler of its own for it, and the process answers: when
 * a loop first turns, or a pool starts. Any thread. */
void interrupt_prepare(void);

/* What the signal's handler does when the calling thread is poked. NULL: nothing. */
void interrupt_on_poke(void (*poked)(void));

/* Pokes a thread: it looks up from its computing. Any thread. */
void interrupt_poke(pthread_t thread);

#endif
