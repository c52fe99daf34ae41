/* SPDX-License-Identifier: MIT
 * Ends this process some time after SIGTERM, if it has not ended by then: its thread may compute without end, and then
 * nobody looks at the signal. */
#ifndef BRAID_TERM_GUARD_H
#define BRAID_TERM_GUARD_H

#include "core/base/base.h"

struct braid_term_guard;

/* Starts a thread that waits for SIGTERM, and then for `patience` ns. SIGTERM does nothing else meanwhile. 0 or an
 * error number. Any thread. */
int braid_term_guard_start(struct braid_term_guard **guard, int64_t patience);

/* Ends that thread. Any thread; waits for it. */
void braid_term_guard_stop(struct braid_term_guard *guard);

#endif
