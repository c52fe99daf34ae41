/* SPDX-License-Identifier: MIT
 * While `inside` is not 0, the handler does nothing. Else it restores the default action and raises the signal
 * again. */
#include "core/http/broken_pipe.h"

#include "core/loop/signal_watch.h"

static void on_broken_pipe(int number) {
  if (braid_here.in_libcurl) return;
  signal(number, SIG_DFL);
  raise(number);
}

void braid_broken_pipe_prepare(void) {
  struct sigaction before, ours = {.sa_handler = on_broken_pipe, .sa_flags = SA_RESTART};
  braid_signal_action(SIGPIPE, NULL, &before);
  if (before.sa_handler == SIG_DFL) braid_signal_action(SIGPIPE, &ours, NULL);
}

void braid_broken_pipe_ignore(void) { braid_here.in_libcurl++; }

void braid_broken_pipe_heed(void) { braid_here.in_libcurl--; }
