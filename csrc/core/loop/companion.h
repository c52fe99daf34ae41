/* SPDX-License-Identifier: MIT
 * A thread that does the blocking work of one object, such as a connection to a database, in the order in which it was
 * submitted. Between two pieces of work it spins for a moment before it sleeps, because the next one often depends on
 * the last one's result. */
#ifndef BRAID_COMPANION_H
#define BRAID_COMPANION_H

#include "core/loop/blocking.h"

struct braid_companion;

/* Starts the thread. Returns 0 or an error number. Any thread; does not block. */
int braid_companion_start(struct braid_companion **companion);

/* Takes over a reference to the work. Any thread; does not block. */
void braid_companion_submit(struct braid_companion *companion, struct braid_blocking *work);

/* Calls fn(context) if this work (NULL: any) is being done now, and returns whether it is. The work does not end
 * meanwhile. Any thread; fn must not block. */
bool braid_companion_touch(struct braid_companion *companion, const struct braid_blocking *work, void (*fn)(void *),
                           void *context);

/* The thread ends when it has done what was submitted. Nothing may be submitted any more, and the companion is not
 * touched again. Any thread; does not block. */
void braid_companion_end(struct braid_companion *companion);

#endif
