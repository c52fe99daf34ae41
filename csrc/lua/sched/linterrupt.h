/* SPDX-License-Identifier: MIT
 * The signals that braid handles while a script waits in the loop: SIGINT and SIGQUIT. (For SIGURG see
 * core/inspect/poke.h.) */
#ifndef BRAID_LINTERRUPT_H
#define BRAID_LINTERRUPT_H

#include <lua.h>
#include <signal.h>

#include "core/loop/loop.h"
#include "lua/sched/lhook.h"

/* The state that SIGINT interrupts. */
struct interrupt_target {
  struct braid_loop *loop;
  lua_State *volatile *computing; /* the coroutine whose code runs; NULL: none */
  struct hook_store *hooks;       /* the state's hooks: the handler arms one in `computing` */
  volatile sig_atomic_t *poked;   /* set by the handler: who resumes another coroutine then arms the hook there */
};

/* Instructions between two calls of a hook that SIGINT has armed. */
enum { INTERRUPT_LOOK = 1000 };

/* Sets the handlers, until interrupt_end. The first SIGINT asks the loop for attention, and arms the hook (with
 * INTERRUPT_LOOK) for code that never waits. A second SIGINT ends the process with status 130. SIGQUIT writes a dump of
 * all states to stderr. A signal that is ignored stays ignored. A nested pair of calls does nothing. The caller keeps
 * the target valid until interrupt_end. The main thread. */
void interrupt_begin(const struct interrupt_target *wanted);

/* Sets the host's handlers again. */
void interrupt_end(const struct interrupt_target *wanted);

/* From the first call on, the process answers questions about what it does, and SIGXFSZ no longer ends it: a write that
 * makes a file too large fails. Called when a loop first turns, and when a pool starts. Any thread. */
void interrupt_prepare(void);

#endif
