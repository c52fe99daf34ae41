/* SPDX-License-Identifier: MIT
 * The signals that braid answers while a script waits in the loop: SIGINT and SIGQUIT. (SIGURG: core/inspect/poke.h.)
 */
#ifndef BRAID_LINTERRUPT_H
#define BRAID_LINTERRUPT_H

#include <lua.h>
#include <signal.h>

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

/* From the first call on the process answers who asks what it does, and a file that has become too large is an error:
 * when a loop first turns, or a pool starts. Any thread. */
void interrupt_prepare(void);

#endif
