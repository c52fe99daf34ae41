/* SPDX-License-Identifier: MIT
 * Memory that a parent shares with one worker process: for each job that is on its way to the worker, whether it has
 * begun. Whoever changes a permit first, the worker that begins the job or the parent that recalls it, has the job; so
 * what a worker had not begun when it died is known. Any thread of both processes; never blocks. */
#ifndef BRAID_JOB_FLAG_H
#define BRAID_JOB_FLAG_H

#include <stdatomic.h>

#include "core/base/clock.h"

enum braid_permit_state { BRAID_PERMIT_NONE, BRAID_PERMIT_SENT, BRAID_PERMIT_BEGUN };

struct braid_permit {
  _Atomic uint64_t word; /* the job's ticket * 4 + enum braid_permit_state */
  _Atomic int64_t began; /* by the clock that all processes have in common; 0: not yet, or that is not written yet */
};

/* The parent's: the job is about to be sent. The worker has done with the permit's last job. */
static inline void braid_permit_issue(struct braid_permit *permit, uint64_t ticket) {
  atomic_store(&permit->began, 0);
  atomic_store(&permit->word, ticket << 2 | BRAID_PERMIT_SENT);
}

/* From sent to another state: true for the first only. */
static inline bool braid_permit_take(struct braid_permit *permit, uint64_t ticket, enum braid_permit_state state) {
  uint64_t sent = ticket << 2 | BRAID_PERMIT_SENT;
  return atomic_compare_exchange_strong(&permit->word, &sent, ticket << 2 | state);
}

static inline bool braid_permit_begun(struct braid_permit *permit, uint64_t ticket) {
  return atomic_load(&permit->word) == (ticket << 2 | BRAID_PERMIT_BEGUN);
}

/* Makes and maps so many; NULL and errno when the system refuses. *fd is the caller's, to be handed over. */
struct braid_permit *braid_permits_new(unsigned count, int *fd);

/* Maps those of the other process. */
struct braid_permit *braid_permits_map(unsigned count, int fd);

void braid_permits_free(struct braid_permit *permits, unsigned count);

#endif
