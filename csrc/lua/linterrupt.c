/* SPDX-License-Identifier: MIT
 * One handler for the process, installed only while a loop turns for the main thread. What it touches is
 * async-signal-safe: an atomic, a descriptor, and the hook's lua_sethook, which Lua's own interpreter calls from its
 * handler. */
#include "linterrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* NULL: no handlers of ours stand. */
static _Atomic(const struct interrupt_target *) target;
static volatile sig_atomic_t count;
static struct {
  int number;
  bool ours;
  struct sigaction host;
} signals[] = {{.number = SIGINT}, {.number = SIGQUIT}};

enum {
  POKED = INTERRUPT_ASKED + 1,
  EXIT_STATUS = 128 + SIGINT,
};

static void on_interrupt(const struct interrupt_target *meant) {
  if (++count > 1) _exit(EXIT_STATUS);
  lua_State *co = *meant->running;
  if (co && !hook_is_armed(co))
    hook_arm(meant->hooks, co, LUA_MASKCOUNT, INTERRUPT_PATIENCE); /* else soon by the hook */
  braid_loop_interrupt(meant->loop);
}

static void on_quit(const struct interrupt_target *meant, const siginfo_t *info) {
  int why = info->si_code == SI_QUEUE ? info->si_value.sival_int : 0;
  if (why != POKED) atomic_fetch_or(meant->asked, why == INTERRUPT_ASKED ? meant->file : meant->dump);
  if (*meant->running) hook_arm(meant->hooks, *meant->running, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  braid_doorbell_ring(&meant->loop->bell);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)context;
  const struct interrupt_target *meant = atomic_load(&target);
  if (!meant) return;
  if (number == SIGINT)
    on_interrupt(meant);
  else
    on_quit(meant, info);
}

void interrupt_begin(const struct interrupt_target *wanted) {
  const struct interrupt_target *nobody = NULL;
  if (!atomic_compare_exchange_strong(&target, &nobody, wanted)) return;
  count = 0;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    sigaction(signals[i].number, NULL, &signals[i].host);
    bool ignored = !(signals[i].host.sa_flags & SA_SIGINFO) && signals[i].host.sa_handler == SIG_IGN;
    struct sigaction ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    signals[i].ours = !ignored && sigaction(signals[i].number, &ours, NULL) == 0;
  }
}

void interrupt_end(const struct interrupt_target *wanted) {
  if (atomic_load(&target) != wanted) return;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (signals[i].ours) sigaction(signals[i].number, &signals[i].host, NULL);
  atomic_store(&target, NULL);
}

void interrupt_poke(pthread_t thread) {
  if (atomic_load(&target)) pthread_sigqueue(thread, SIGQUIT, (union sigval){.sival_int = POKED});
}
