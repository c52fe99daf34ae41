/* SPDX-License-Identifier: MIT
 * Loading foreign code takes turns among threads: what a C library does when it is loaded may touch what the whole
 * process has. Who has the turn may take it again; no lock is held meanwhile. */
#ifndef BRAID_LOADING_H
#define BRAID_LOADING_H

#include "core/base/base.h"

/* Takes the turn. False when another thread has it still at the deadline. Any thread; blocks. */
bool braid_loading_begin(int64_t deadline);

/* Gives it back, once for each time that it was taken. */
void braid_loading_end(void);

#endif
