/* SPDX-License-Identifier: MIT
 * Signals as something that can be waited for: a pipe from which their numbers are read. One for the process:
 * all functions for the thread that took the signals over. None blocks. */
#ifndef BRAID_SIGNALS_H
#define BRAID_SIGNALS_H

#include "core/base/base.h"

enum { BRAID_SIGNALS_MOST = 8 };

/* Takes over these signals, at most BRAID_SIGNALS_MOST; *fd becomes readable when one comes. 0 or an error number:
 * EBUSY when signals are taken over already. Does not block. */
int braid_signals_open(const int *numbers, size_t count, int *fd);

/* The number of a signal that has come, or 0. */
int braid_signals_next(void);

/* Gives the signals back to whoever had them. */
void braid_signals_close(void);

#endif
