/* SPDX-License-Identifier: MIT
 * The handlers of SIGINT and SIGQUIT stand only while a loop turns for the main thread, that of SIGURG from the first
 * loop or pool on. What they touch is async-signal-safe: atomics, descriptors, a semaphore, and the hook's lua_sethook,
 * which Lua's own interpreter calls from its handler. */
#include "lua/sched/linterrupt.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/file_limit.h"
#include "core/work/tally.h"
#include "core/work/thread_pool.h"

/* NULL: no handlers of ours stand. */
static _Atomic(const struct interrupt_target *) target;
static volatile sig_atomic_t count;
static struct {
  int number;
  bool ours;
  struct sigaction host;
} signals[] = {{.number = SIGINT}, {.number = SIGQUIT}};

enum { EXIT_STATUS = 128 + SIGINT };

static void on_interrupt(const struct interrupt_target *meant) {
  if (++count > 1) {
    braid_tally_tell();
    _exit(EXIT_STATUS);
  }
  lua_State *co = *meant->computing;
  *meant->poked = 1;
  if (co && !hook_is_armed(co)) hook_arm(meant->hooks, co, LUA_MASKCOUNT, INTERRUPT_LOOK); /* else soon by the hook */
  braid_loop_interrupt(meant->loop);
}

static bool is_ignored(const struct sigaction *action) {
  return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_IGN;
}

/* Nobody waits any more, but the handler is there: somebody who had changed it for a while, system(3) in another
 * thread, has put it back when we had left. The signal is the host's. */
static void pass_on(int number) {
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (signals[i].number == number) sigaction(number, &signals[i].host, NULL);
  raise(number); /* it comes when this handler has returned */
}

static void on_signal(int number) {
  const struct interrupt_target *meant = atomic_load(&target);
  if (!meant)
    pass_on(number);
  else if (number == SIGINT)
    on_interrupt(meant);
  else
    braid_answer_dump();
}

void interrupt_begin(const struct interrupt_target *wanted) {
  const struct interrupt_target *nobody = NULL;
  if (!atomic_compare_exchange_strong(&target, &nobody, wanted)) return;
  count = 0;
  braid_thread_pin();
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction now, ours = {.sa_handler = on_signal};
    if (signals[i].number == SIGQUIT) ours.sa_flags = SA_RESTART; /* a question: what runs is not disturbed */
    sigaction(signals[i].number, NULL, &now);
    bool left = !(now.sa_flags & SA_SIGINFO) && now.sa_handler == on_signal; /* see pass_on */
    if (!left) signals[i].host = now;
    signals[i].ours = !is_ignored(&now) && sigaction(signals[i].number, &ours, NULL) == 0;
  }
}

void interrupt_end(const struct interrupt_target *wanted) {
  if (atomic_load(&target) != wanted) return;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (signals[i].ours) sigaction(signals[i].number, &signals[i].host, NULL);
  atomic_store(&target, NULL);
}

/* ---- SIGURG --------------------------------------------------------------------------------------------------- */

static _Atomic(braid_answer_collector *) collector;
static atomic_bool urgent_is_ours;
static BRAID_THREAD_LOCAL void (*on_poke)(void);

/* A poke is sent to one thread. Where that is the thread's own state's, so that `on_poke` has its place in memory: the
 * handler must not be the one who makes it. */
static bool is_poke(const siginfo_t *info) {
#ifdef __linux__
  return info->si_code == SI_TKILL || info->si_code == SI_TIMER;
#else
  (void)info;
  return true;
#endif
}

static void on_urgent(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  int saved = errno;
  if (!braid_answer_note(info) && is_poke(info) && on_poke) on_poke();
  errno = saved;
}

static void prepare(void) {
  braid_thread_pin();
  braid_file_limit_prepare();
  struct sigaction now, ours = {.sa_sigaction = on_urgent, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(BRAID_WORKER_SIGNAL, NULL, &now);
  bool host = (now.sa_flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
  bool mine = !host && sigaction(BRAID_WORKER_SIGNAL, &ours, NULL) == 0;
  atomic_store(&urgent_is_ours, mine);
  if (atomic_load(&collector)) braid_answer_start(atomic_load(&collector), mine);
}

void interrupt_answer_by(braid_answer_collector *collect) { atomic_store(&collector, collect); }

void interrupt_prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, prepare);
}

void interrupt_on_poke(void (*poked)(void)) { on_poke = poked; }

void interrupt_poke(pthread_t thread) {
  if (atomic_load(&urgent_is_ours)) pthread_kill(thread, BRAID_WORKER_SIGNAL);
}
