/* SPDX-License-Identifier: MIT
 * One handler for the process, installed only while a loop turns for the main thread. What it touches is
 * async-signal-safe: an atomic, a descriptor, and lua_sethook, which Lua's own interpreter calls from its handler. */
#include "linterrupt.h"

#include <signal.h>
#include <unistd.h>

static struct braid_loop *volatile target; /* NULL: no handler of ours stands */
static lua_State *const *volatile running;
static volatile lua_Hook step_hook;
static volatile sig_atomic_t count;
static struct sigaction host;

enum {
  EXIT_STATUS = 128 + SIGINT,
  PATIENCE = 10 * 1000 * 1000 /* instructions: some 100 ms */
};

static void on_signal(int number) {
  (void)number;
  if (++count > 1) _exit(EXIT_STATUS);
  lua_State *L = *running;
  if (L) lua_sethook(L, step_hook, LUA_MASKCOUNT, PATIENCE);
  braid_loop_interrupt(target);
}

void interrupt_begin(struct braid_loop *loop, lua_State *const *runner, lua_Hook hook) {
  if (target) return;
  struct sigaction now;
  sigaction(SIGINT, NULL, &now);
  if (!(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN) return;
  running = runner;
  step_hook = hook;
  count = 0;
  target = loop;
  struct sigaction ours = {.sa_handler = on_signal};
  sigaction(SIGINT, &ours, &host);
}

void interrupt_end(struct braid_loop *loop) {
  if (target != loop) return;
  sigaction(SIGINT, &host, NULL);
  target = NULL;
}
