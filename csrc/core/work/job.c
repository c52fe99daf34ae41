/* SPDX-License-Identifier: MIT
 * A job allocates nothing after it is made. So its end, and telling the submitter, cannot fail. */
#include "core/work/job.h"

#include <string.h>

#include "core/base/block.h"

struct braid_job *braid_job_new(struct braid_message *call, struct braid_waiter *home) {
  struct braid_job *job = braid_block_take(sizeof *job);
  if (!job) return NULL;
  memset(job, 0, sizeof *job);
  atomic_init(&job->refs, 2);
  job->call = call;
  atomic_init(&job->home, home);
  braid_list_init(&job->link);
  return job;
}

void braid_job_ref(struct braid_job *job) { atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed); }

void braid_job_unref(struct braid_job *job) {
  if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) != 1) return;
  if (job->call) braid_message_unref(job->call);
  if (job->reply) braid_message_unref(job->reply);
  braid_block_give(job, sizeof *job);
}
