/* SPDX-License-Identifier: MIT
 * The handlers are set only while a loop turns for the main thread. They touch only what is async-signal-safe: atomics,
 * descriptors, a semaphore, and lua_sethook, which Lua's own interpreter calls from its handler, too. */
#include "lua/sched/linterrupt.h"

#include <stdatomic.h>
#include <unistd.h>

#include "core/base/file_limit.h"
#include "core/base/thread.h"
#include "core/inspect/answer.h"
#include "core/inspect/inspect.h"
#include "core/loop/signal_watch.h"
#include "core/work/tally.h"

enum { SIGNALS = 2 };

static struct {
  _Atomic(const struct interrupt_target *) target; /* NULL: braid's handlers are not set */
  volatile sig_atomic_t count;                     /* SIGINTs since they were set */
  struct handled {
    int number;
    bool ours; /* the host does not ignore it, so it is braid's while the loop turns */
    struct sigaction host;
  } signals[SIGNALS];
} handlers = {.signals = {{.number = SIGINT}, {.number = SIGQUIT}}};

enum { EXIT_STATUS = 128 + SIGINT };

static void on_interrupt(const struct interrupt_target *meant) {
  if (++handlers.count > 1) {
    braid_tally_tell();
    _exit(EXIT_STATUS);
  }
  lua_State *co = *meant->computing;
  *meant->poked = 1;
  if (co && !hook_is_armed(co))
    hook_arm(meant->hooks, co, LUA_MASKCOUNT, INTERRUPT_LOOK); /* an armed hook comes soon */
  braid_loop_interrupt(meant->loop);
}

static bool is_ignored(const struct sigaction *action) {
  return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_IGN;
}

/* Nobody waits any more, but the handler is set. Another thread had changed it for a while (system(3) does) and put it
 * back after interrupt_end. The signal belongs to the host. */
static void pass_on(int number) {
  for (size_t i = 0; i < SIGNALS; i++)
    if (handlers.signals[i].number == number) sigaction(number, &handlers.signals[i].host, NULL);
  raise(number); /* delivered when this handler has returned */
}

static void on_signal(int number) {
  const struct interrupt_target *meant = atomic_load(&handlers.target);
  if (braid_signal_watched(number))
    braid_signal_deliver(number);
  else if (!meant)
    pass_on(number);
  else if (number == SIGINT)
    on_interrupt(meant);
  else
    braid_answer_dump();
}

/* Most often the host still does not ignore the signal, as the last time. Then one call sets and reads. */
static void take_over(struct handled *signal) {
  struct sigaction now, ours = {.sa_handler = on_signal};
  bool before = signal->ours;
  if (signal->number == SIGQUIT) ours.sa_flags = SA_RESTART; /* only a question: calls continue */
  braid_signal_action(signal->number, before ? &ours : NULL, &now);
  bool left = !(now.sa_flags & SA_SIGINFO) && now.sa_handler == on_signal; /* left over: see pass_on */
  if (!left) signal->host = now;
  signal->ours = !is_ignored(&now);
  if (signal->ours != before) braid_signal_action(signal->number, before ? &now : &ours, NULL);
}

void interrupt_begin(const struct interrupt_target *wanted) {
  const struct interrupt_target *nobody = NULL;
  if (!atomic_compare_exchange_strong(&handlers.target, &nobody, wanted)) return;
  handlers.count = 0;
  braid_thread_pin();
  for (size_t i = 0; i < SIGNALS; i++) take_over(&handlers.signals[i]);
}

void interrupt_end(const struct interrupt_target *wanted) {
  if (atomic_load(&handlers.target) != wanted) return;
  for (size_t i = 0; i < SIGNALS; i++) {
    if (!handlers.signals[i].ours) continue;
    if (braid_loop_is_fork) /* a thread that does not exist here may hold the mutex of watches */
      sigaction(handlers.signals[i].number, &handlers.signals[i].host, NULL);
    else
      braid_signal_action(handlers.signals[i].number, &handlers.signals[i].host, NULL);
  }
  atomic_store(&handlers.target, NULL);
}

void interrupt_prepare(void) {
  braid_file_limit_prepare();
  braid_inspect_open();
}
