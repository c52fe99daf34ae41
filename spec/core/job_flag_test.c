/* SPDX-License-Identifier: MIT
 * Job flags: one of both sides has the job, and a job's beginning is its own. */
#include "core/work/job_flag.h"

#include <errno.h>
#include <fcntl.h>

#include "check.h"
#include "refusal.h"

static void belong_to_one_side(void) {
  int fd;
  struct braid_job_flag *ours = braid_job_flags_new(2, &fd), *theirs = ours ? braid_job_flags_map(2, fd) : NULL;
  check(ours && theirs);
  if (!ours || !theirs) return;
  close(fd);

  braid_job_flag_issue(ours, 7);
  check(!braid_job_flag_begun(theirs, 7));
  check(braid_job_flag_take(theirs, 7, BRAID_JOB_FLAG_BEGUN));
  check(!braid_job_flag_take(ours, 7, BRAID_JOB_FLAG_NONE));
  check(braid_job_flag_begun(ours, 7));
  atomic_store(&theirs->began, 123);

  braid_job_flag_issue(ours, 9); /* the next job: when the last one began is nothing to it */
  check(atomic_load(&ours->began) == 0);
  check(!braid_job_flag_begun(ours, 9) && !braid_job_flag_begun(ours, 7));
  check(braid_job_flag_take(ours, 9, BRAID_JOB_FLAG_NONE));
  check(!braid_job_flag_take(theirs, 9, BRAID_JOB_FLAG_BEGUN));

  braid_job_flags_free(ours, 2);
  braid_job_flags_free(theirs, 2);
}

#ifdef __linux__
static void without_memory(void) {
  int fd = -1;
  errno = 0;
  check(!braid_job_flags_new(2, &fd) && errno == ENOMEM);
  check(fcntl(fd, F_GETFD) < 0);
}

static void refusals_are_told(void) {
  refuse_call(SYS_memfd_create, ENOMEM, without_memory);
  refuse_call(SYS_ftruncate, ENOMEM, without_memory);
}
#else
static void refusals_are_told(void) {}
#endif

static void what_is_no_memory_is_not_mapped(void) { check(!braid_job_flags_map(2, -1)); }

CHECK_MAIN({"job flag: belongs to one side, and its beginning to one job", belong_to_one_side},
           {"job flag: what is no memory is not mapped", what_is_no_memory_is_not_mapped},
           {"job flag: refusals are told", refusals_are_told})
