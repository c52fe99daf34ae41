/* SPDX-License-Identifier: MIT
 * SIGINT and SIGQUIT while a script waits in the loop. The main thread. */
#ifndef BRAID_LINTERRUPT_H
#define BRAID_LINTERRUPT_H

#include <lua.h>

#include "../core/loop.h"
#include "lhook.h"

/* What the signals are to do with a state. */
struct interrupt_target {
  struct braid_loop *loop;
  lua_State *const *running; /* the coroutine that runs */
  struct hook_store *hooks;  /* of the state: its hook is armed there */
  atomic_uint *asked;        /* gets one of these bits */
  unsigned dump, file;       /* to stderr; to a file, for another process that asked with INTERRUPT_ASKED */
};

enum { INTERRUPT_ASKED = 0x62726169 };

/* The count of a hook that was armed by SIGINT: some 100 ms of computing later. */
enum { INTERRUPT_PATIENCE = 10 * 1000 * 1000 };

/* From here to interrupt_end SIGINT asks the loop for attention and arms the hook with INTERRUPT_PATIENCE, for code
 * that never waits; a second SIGINT ends the process with status 130. SIGQUIT, which asks for a dump, arms it for at
 * once. A signal that somebody has ignored stays so. Nothing happens inside another such pair. The target stays the
 * caller's until interrupt_end. */
void interrupt_begin(const struct interrupt_target *wanted);

/* The host's handlers are back. */
void interrupt_end(const struct interrupt_target *wanted);

/* Arms the hook, for at once, in the state that is inside such a pair on that thread. Any thread. */
void interrupt_poke(pthread_t thread);

#endif
