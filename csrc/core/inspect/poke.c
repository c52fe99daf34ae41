/* SPDX-License-Identifier: MIT
 * The handler interrupts its thread between any two instructions, and reads the list that this thread writes. */
#include "core/inspect/poke.h"

#include <errno.h>
#include <stdatomic.h>

#include "core/base/thread.h"

static struct {
  atomic_bool open;
  bool (*note)(const siginfo_t *info);
} signals;

static BRAID_THREAD_LOCAL struct braid_poke_target *_Atomic targets;

/* A poke is sent to one thread. The handler reads `targets` only after a poke: that thread has used the variable
 * before, so it is allocated. A handler must not be the first to use a thread-local variable, which would allocate it.
 */
static bool is_poke(const siginfo_t *info) {
#ifdef __linux__
  return info->si_code == SI_TKILL || info->si_code == SI_TIMER;
#else
  (void)info;
  return true;
#endif
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  int saved = errno;
  if (!signals.note(info) && is_poke(info))
    for (struct braid_poke_target *at = targets; at; at = at->below) at->poked(at);
  errno = saved;
}

bool braid_poke_open(bool (*note)(const siginfo_t *info)) {
  struct sigaction now, ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  braid_thread_pin();
  signals.note = note;
  sigaction(BRAID_POKE_SIGNAL, NULL, &now);
  bool host = (now.sa_flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
  bool open = !host && sigaction(BRAID_POKE_SIGNAL, &ours, NULL) == 0;
  atomic_store(&signals.open, open);
  return open;
}

void braid_poke(pthread_t thread) {
  if (atomic_load(&signals.open)) pthread_kill(thread, BRAID_POKE_SIGNAL);
}

void braid_poke_add(struct braid_poke_target *target) {
  target->below = targets;
  targets = target;
}

void braid_poke_remove(struct braid_poke_target *target) {
  struct braid_poke_target *_Atomic *at = &targets;
  while (*at && *at != target) at = &(*at)->below;
  if (*at) *at = target->below;
}
