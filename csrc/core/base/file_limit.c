/* SPDX-License-Identifier: MIT
 * The handler does nothing. SIG_IGN would do the same here, but started programs would inherit it. */
#include "core/base/file_limit.h"

#include <signal.h>

#include "core/base/thread.h"

static void on_signal(int number) { (void)number; }

static void prepare(void) {
  struct sigaction now, ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGXFSZ, NULL, &now);
  if ((now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_DFL) return;
  braid_thread_pin();
  sigaction(SIGXFSZ, &ours, NULL);
}

void braid_file_limit_prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, prepare);
}
