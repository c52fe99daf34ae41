/* SPDX-License-Identifier: MIT
 * Runs kernels for Lua. The calling task is suspended while native threads compute (core/work/crew.h), and the loop
 * goes on. The state's own thread.
 *
 *   static void run(struct braid_team *team, void *arguments);           // uses no Lua; team NULL: small work
 *   static int finish(lua_State *L, void *arguments) { ... push ... return 1; }
 *   static void release(void *arguments);                               // frees what they own
 *   static const struct lkernel kernel = {"sum", run, finish, release};
 *
 *   static int sum(lua_State *L) {                       // registered by sched_register
 *     ... check all arguments and make the arrays for the results: everything that may raise ...
 *     struct sum *this = lkernel_new(L, &kernel, sizeof *this);         // zeroed; on the top of the stack
 *     ... fill it ...
 *     return lkernel_run(L, threads, this->count < SMALL);
 *   }
 *
 * What the arguments point to (arrays, strings) stays alive, because it is on the stack below them. It was also made
 * before them: so when the state closes, the arguments' finalizer runs first. It stops the kernel and waits for it. */
#ifndef BRAID_LKERNEL_H
#define BRAID_LKERNEL_H

#include <lua.h>

#include "core/work/crew.h"

struct lkernel {
  const char *name;                             /* for messages: "sum" */
  braid_team_run *run;                          /* on a native thread; on the state's thread if the work is small */
  int (*finish)(lua_State *L, void *arguments); /* pushes the results and returns their number; may raise */
  void (*release)(void *arguments);             /* NULL: they own nothing. Called once, even if the kernel never ran */
};

/* Pushes the arguments of a kernel: `size` bytes of zeroes. */
void *lkernel_new(lua_State *L, const struct lkernel *kernel, size_t size);

/* Runs the kernel whose arguments are on the top of the stack, on up to `threads` threads (0: all). A `small` one runs
 * on the calling thread: starting a team takes about 50 us, so smaller work gains nothing. Suspends, unless small. A
 * cancel stops the kernel, waits for its end and raises. Use it as `return lkernel_run(...)`. */
int lkernel_run(lua_State *L, unsigned threads, bool small);

/* Reads the option `threads` at `index`; nil: the default. Raises unless it is an integer from 1 to BRAID_TEAM_MOST. */
unsigned lkernel_threads(lua_State *L, int index);

#endif
