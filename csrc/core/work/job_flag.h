/* SPDX-License-Identifier: MIT
 * Job flags: memory that a parent shares with one worker process. There is one flag for each job that was sent to the
 * worker; it says whether the job has begun. Whoever changes a flag first has the job: the worker that begins it, or
 * the parent that recalls it. So the parent knows which jobs a worker had not begun when it died. Any thread of both
 * processes; nothing blocks. */
#ifndef BRAID_JOB_FLAG_H
#define BRAID_JOB_FLAG_H

#include <stdatomic.h>

#include "core/base/clock.h"

enum braid_job_flag_state { BRAID_JOB_FLAG_NONE, BRAID_JOB_FLAG_SENT, BRAID_JOB_FLAG_BEGUN };

struct braid_job_flag {
  _Atomic uint64_t word; /* the job's ticket * 4 + enum braid_job_flag_state */
  _Atomic int64_t began; /* CLOCK_MONOTONIC, the same in both processes; 0: not begun, or not written yet */
};

/* The parent: the job is about to be sent. The worker no longer uses the flag for an earlier job. */
static inline void braid_job_flag_issue(struct braid_job_flag *flag, uint64_t ticket) {
  atomic_store(&flag->began, 0);
  atomic_store(&flag->word, ticket << 2 | BRAID_JOB_FLAG_SENT);
}

/* Changes the flag from `sent` to `state`. True for the first caller only. */
static inline bool braid_job_flag_take(struct braid_job_flag *flag, uint64_t ticket, enum braid_job_flag_state state) {
  uint64_t sent = ticket << 2 | BRAID_JOB_FLAG_SENT;
  return atomic_compare_exchange_strong(&flag->word, &sent, ticket << 2 | state);
}

static inline bool braid_job_flag_begun(struct braid_job_flag *flag, uint64_t ticket) {
  return atomic_load(&flag->word) == (ticket << 2 | BRAID_JOB_FLAG_BEGUN);
}

/* Makes and maps `count` flags. NULL and errno when the system refuses. The caller owns *fd, to pass it to the
 * worker. */
struct braid_job_flag *braid_job_flags_new(unsigned count, int *fd);

/* Maps the flags of the other process. NULL and errno when the system refuses. */
struct braid_job_flag *braid_job_flags_map(unsigned count, int fd);

/* Unmaps the flags in this process. */
void braid_job_flags_free(struct braid_job_flag *flags, unsigned count);

#endif
