/* SPDX-License-Identifier: MIT
 * Permits: one of both sides has the job, and a job's beginning is its own. */
#include "core/work/job_flag.h"

#include "check.h"

static void belong_to_one_side(void) {
  int fd;
  struct braid_permit *ours = braid_permits_new(2, &fd), *theirs = ours ? braid_permits_map(2, fd) : NULL;
  check(ours && theirs);
  if (!ours || !theirs) return;
  close(fd);

  braid_permit_issue(ours, 7);
  check(!braid_permit_begun(theirs, 7));
  check(braid_permit_take(theirs, 7, BRAID_PERMIT_BEGUN));
  check(!braid_permit_take(ours, 7, BRAID_PERMIT_NONE));
  check(braid_permit_begun(ours, 7));
  atomic_store(&theirs->began, 123);

  braid_permit_issue(ours, 9); /* the next job: when the last one began is nothing to it */
  check(atomic_load(&ours->began) == 0);
  check(!braid_permit_begun(ours, 9) && !braid_permit_begun(ours, 7));
  check(braid_permit_take(ours, 9, BRAID_PERMIT_NONE));
  check(!braid_permit_take(theirs, 9, BRAID_PERMIT_BEGUN));

  braid_permits_free(ours, 2);
  braid_permits_free(theirs, 2);
}

CHECK_MAIN({"permit: belongs to one side, and its beginning to one job", belong_to_one_side})
