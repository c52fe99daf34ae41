/* SPDX-License-Identifier: MIT
 * Signals as events: a watch tells which of its signals have come. While a signal is watched, nothing else happens when
 * it comes. Several watches of one signal are all told. Signals that come twice before somebody asks are one. */
#ifndef BRAID_SIGNAL_WATCH_H
#define BRAID_SIGNAL_WATCH_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/loop/wakeup.h"

struct braid_signal_watch {
  uint64_t wanted;          /* bit n: signal n */
  _Atomic uint64_t pending; /* of these, what has come */
  struct braid_wakeup wakeup;
};

/* Starts the watch of the signals in `wanted`. 0 or an error number: EMFILE when too many watches stand, what sigaction
 * says for a signal that cannot be watched. Any thread; may block for a moment. */
int braid_signal_watch_open(struct braid_signal_watch *watch, uint64_t wanted);

/* Ends it: a signal that nobody watches any more does again what it did before. Any thread; waits until no handler uses
 * the watch. */
void braid_signal_watch_close(struct braid_signal_watch *watch);

/* The lowest signal that has come, which is forgotten then; 0: none. Clears the wakeup before it looks. The owner's
 * thread; does not block. */
int braid_signal_watch_next(struct braid_signal_watch *watch);

/* Whether somebody watches this signal. Any thread, and a signal handler. */
bool braid_signal_watched(int number);

/* Tells the watches of this signal that it has come. A signal handler. */
void braid_signal_deliver(int number);

/* Like sigaction. While the signal is watched, it reads and changes what the signal does when nobody watches it any
 * more. Any thread. */
void braid_signal_action(int number, const struct sigaction *action, struct sigaction *before);

#endif
