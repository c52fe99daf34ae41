/* SPDX-License-Identifier: MIT
 * Memory that a parent shares with one worker process: for each job that is on its way to the worker, whether it has
 * begun. Whoever changes a job flag first, the worker that begins the job or the parent that recalls it, has the job;
 * so what a worker had not begun when it died is known. Any thread of both processes; never blocks. */
#ifndef BRAID_JOB_FLAG_H
#define BRAID_JOB_FLAG_H

#include <stdatomic.h>

#include "core/base/clock.h"

enum braid_job_flag_state { BRAID_JOB_FLAG_NONE, BRAID_JOB_FLAG_SENT, BRAID_JOB_FLAG_BEGUN };

struct braid_job_flag {
  _Atomic uint64_t word; /* the job's ticket * 4 + enum braid_job_flag_state */
  _Atomic int64_t began; /* by the clock that all processes have in common; 0: not yet, or that is not written yet */
};

/* The parent's: the job is about to be sent. The worker has done with the job flag's last job. */
static inline void braid_job_flag_issue(struct braid_job_flag *flag, uint64_t ticket) {
  atomic_store(&flag->began, 0);
  atomic_store(&flag->word, ticket << 2 | BRAID_JOB_FLAG_SENT);
}

/* From sent to another state: true for the first only. */
static inline bool braid_job_flag_take(struct braid_job_flag *flag, uint64_t ticket, enum braid_job_flag_state state) {
  uint64_t sent = ticket << 2 | BRAID_JOB_FLAG_SENT;
  return atomic_compare_exchange_strong(&flag->word, &sent, ticket << 2 | state);
}

static inline bool braid_job_flag_begun(struct braid_job_flag *flag, uint64_t ticket) {
  return atomic_load(&flag->word) == (ticket << 2 | BRAID_JOB_FLAG_BEGUN);
}

/* Makes and maps so many; NULL and errno when the system refuses. *fd is the caller's, to be handed over. */
struct braid_job_flag *braid_job_flags_new(unsigned count, int *fd);

/* Maps those of the other process. */
struct braid_job_flag *braid_job_flags_map(unsigned count, int fd);

void braid_job_flags_free(struct braid_job_flag *flags, unsigned count);

#endif
