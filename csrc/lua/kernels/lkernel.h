/* SPDX-License-Identifier: MIT
 * How Lua calls a kernel: the calling task is suspended while native threads compute (core/work/crew.h), and the loop
 * goes on. The state's own thread.
 *
 *   static void run(struct braid_team *team, void *arguments);           // knows no Lua; team NULL: small work
 *   static int finish(lua_State *L, void *arguments) { ... push ... return 1; }
 *   static void release(void *arguments);                               // frees what they own
 *   static const struct lkernel kernel = {"sum", run, finish, release};
 *
 *   static int sum(lua_State *L) {                       // registered by sched_register
 *     ... check all arguments and make the arrays for the results: all that may raise ...
 *     struct sum *this = lkernel_new(L, &kernel, sizeof *this);         // zeroed; on the top of the stack
 *     ... fill it ...
 *     return lkernel_run(L, threads, this->count < SMALL);
 *   }
 *
 * What the arguments point to (arrays, strings) stays alive because it stays on the stack below them, and because it
 * was made before them: at the end of the state the arguments' finalizer is called first, which stops the kernel and
 * waits for it. */
#ifndef BRAID_LKERNEL_H
#define BRAID_LKERNEL_H

#include <lua.h>

#include "core/work/crew.h"

struct lkernel {
  const char *name;                             /* "sum": for messages */
  braid_team_run *run;                          /* on a native thread, or here when it is small */
  int (*finish)(lua_State *L, void *arguments); /* pushes the results and returns how many; may raise */
  void (*release)(void *arguments);             /* NULL: they own nothing. Called once, also when nothing was run */
};

/* Pushes the arguments of a kernel: `size` zeroed bytes. */
void *lkernel_new(lua_State *L, const struct lkernel *kernel, size_t size);

/* Runs the kernel whose arguments are on the top of the stack on up to `threads` threads (0: all), or here and now when
 * it is `small` (less than some 50 us of work, as starting a team costs as much). Suspends, but for small ones. A
 * cancel stops the kernel, waits for its end and raises. `return lkernel_run(...)`. */
int lkernel_run(lua_State *L, unsigned threads, bool small);

/* The option `threads` at `index`: 0 for nil. Raises when it is not an integer from 1 to BRAID_TEAM_MOST. */
unsigned lkernel_threads(lua_State *L, int index);

#endif
