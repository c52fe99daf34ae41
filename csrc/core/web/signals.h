/* SPDX-License-Identifier: MIT
 * Makes signals something to wait for: their numbers are written to a pipe. One for the process. All functions on the
 * thread that took the signals over; nothing blocks. */
#ifndef BRAID_SIGNALS_H
#define BRAID_SIGNALS_H

#include "core/base/base.h"

enum { BRAID_SIGNALS_MOST = 8 };

/* Takes over these signals, at most BRAID_SIGNALS_MOST. *fd becomes readable when one comes. Returns 0 or an error
 * number; EBUSY: signals are already taken over. */
int braid_signals_open(const int *numbers, size_t count, int *fd);

/* Returns the number of a signal that has come, or 0. */
int braid_signals_next(void);

/* Restores the former handlers. */
void braid_signals_close(void);

#endif
