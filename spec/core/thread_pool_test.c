/* SPDX-License-Identifier: MIT
 * Threads that take jobs: done, cancelled, given up; and what becomes of jobs when workers cannot be made. */
#include "core/work/thread_pool.h"

#include <errno.h>
#include <signal.h>

#include "jobs.h"
#include "refusal.h"

static struct braid_loop loop;
static atomic_int freed;
static int settings;

static void free_settings(void *ours) {
  check(ours == &settings);
  atomic_fetch_add(&freed, 1);
}

static void ignore(int number) { (void)number; }

static struct braid_thread_pool *begin(unsigned count, void (*body)(struct braid_worker *)) {
  signal(BRAID_POKE_SIGNAL, ignore);
  atomic_store(&freed, 0);
  check(braid_loop_open(&loop) == 0);
  struct braid_thread_pool *pool = braid_thread_pool_new(count, body, &settings, free_settings);
  check(pool != NULL);
  return pool;
}

static void end(struct braid_thread_pool *pool) {
  pool->pool.kind->close(&pool->pool, false);
  check(braid_pool_await(&pool->pool, BRAID_NEVER));
  struct braid_waiter waiter;
  braid_waiter_init(&waiter, &loop, BRAID_WAITER_TASK);
  braid_waiter_arm(&waiter);
  check(braid_pool_join(&pool->pool, &waiter.node) == BRAID_OK);
  while (atomic_load(&pool->pool.object.refs) > 1) usleep(100); /* the threads give theirs up */
  braid_object_unref(&pool->pool.object);
  check(atomic_load(&freed) == 1);
  braid_loop_close(&loop);
}

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static void jobs_are_done(void) {
  enum { COUNT = 500 };
  static struct task tasks[COUNT];
  struct braid_thread_pool *pool = begin(3, work);
  check(braid_pool_count(&pool->pool));
  for (int i = 0; i < COUNT; i++) check(task_submit(&tasks[i], &loop, &pool->pool, i % 5 ? "do" : "fail") == BRAID_OK);
  tasks_await(&loop, COUNT);
  for (int i = 0; i < COUNT; i++) {
    check(task_outcome(&tasks[i]) == (i % 5 ? BRAID_JOB_DONE : BRAID_JOB_FAILED));
    check(strcmp(tasks[i].job->reply->bytes, i % 5 ? "do" : "fail") == 0);
    task_forget(&tasks[i]);
  }
  struct braid_pool_stats stats = braid_pool_look(&pool->pool).stats;
  check(stats.done == COUNT * 4 / 5 && stats.failed == COUNT / 5);
  check(pool->pool.kind->running(&pool->pool) == 0);
  check(stats.busy == COUNT * 1000 && stats.bytes_in > 0 && stats.bytes_in == stats.bytes_out);
  check(braid_tally_count(pool->pool.tally) == 0 && braid_tally_total(pool->pool.tally) >= COUNT);
  end(pool);
}

static void a_pool_comes_to_rest(void) {
  struct braid_thread_pool *pool = begin(1, work);
  struct task task;
  struct braid_waiter waiter;
  check(braid_pool_count(&pool->pool));
  braid_waiter_init(&waiter, &loop, BRAID_WAITER_TASK);
  braid_waiter_arm(&waiter);
  check(braid_pool_rest(&pool->pool, &waiter.node) == BRAID_OK);
  check(task_submit(&task, &loop, &pool->pool, "until stopped") == BRAID_OK);
  check(braid_pool_rest(&pool->pool, &waiter.node) == BRAID_WAIT);
  check(pool->pool.kind->cancel(&pool->pool, task.job));
  struct braid_waiter *home;
  while (!(home = braid_loop_next(&loop))) braid_loop_poll(&loop, BRAID_NEVER);
  check(home == &task.waiter); /* the job first */
  while (!(home = braid_loop_next(&loop))) braid_loop_poll(&loop, BRAID_NEVER);
  check(home == &waiter && waiter.status == BRAID_OK);
  task_forget(&task);
  end(pool);
}

static void jobs_are_cancelled(void) {
  struct braid_thread_pool *pool = begin(1, work);
  struct task running, queued, late;
  const struct braid_pool_kind *kind = pool->pool.kind;
  check(task_submit(&running, &loop, &pool->pool, "until stopped") == BRAID_OK);
  while (atomic_load(&running.job->state) == BRAID_JOB_QUEUED) usleep(100);
  check(task_submit(&queued, &loop, &pool->pool, "do") == BRAID_OK && kind->queued(&pool->pool) == 1);
  struct braid_pool_facts facts = braid_pool_look(&pool->pool);
  check(facts.alive == 1 && facts.queued == 1 && facts.running == 1 && facts.stats.done == 0);
  check(!braid_pool_has_cancelled(queued.job) && !braid_pool_has_begun(&pool->pool, queued.job));
  check(kind->cancel(&pool->pool, queued.job)); /* at once */
  check(braid_pool_has_cancelled(queued.job));
  check(task_outcome(&queued) == BRAID_JOB_CANCELLED && !kind->cancel(&pool->pool, queued.job));
  check(kind->cancel(&pool->pool, running.job));
  tasks_await(&loop, 2);
  check(task_outcome(&running) == BRAID_JOB_CANCELLED && !kind->cancel(&pool->pool, running.job));
  check(task_submit(&late, &loop, &pool->pool, "do") == BRAID_OK); /* the worker passes over what was cancelled */
  tasks_await(&loop, 1);
  check(task_outcome(&late) == BRAID_JOB_DONE && braid_pool_look(&pool->pool).stats.cancelled == 2);
  task_forget(&running);
  task_forget(&queued);
  task_forget(&late);
  end(pool);
}

static void a_closed_pool_refuses(void) {
  struct braid_thread_pool *pool = begin(1, work);
  struct task running, queued, refused;
  const struct braid_pool_kind *kind = pool->pool.kind;
  check(braid_pool_count(&pool->pool));
  check(task_submit(&running, &loop, &pool->pool, "until stopped") == BRAID_OK);
  while (atomic_load(&running.job->state) == BRAID_JOB_QUEUED) usleep(100);
  check(task_submit(&queued, &loop, &pool->pool, "do") == BRAID_OK);
  struct braid_waiter waiter;
  braid_waiter_init(&waiter, &loop, BRAID_WAITER_TASK);
  braid_waiter_arm(&waiter);
  check(braid_pool_join(&pool->pool, &waiter.node) == BRAID_WAIT);
  check(!braid_pool_await(&pool->pool, braid_clock_now() + 1000000));
  kind->close(&pool->pool, true);
  check(task_outcome(&queued) == BRAID_JOB_CANCELLED);
  check(task_submit(&refused, &loop, &pool->pool, "do") == BRAID_CLOSED);
  check(braid_tally_count(pool->pool.tally) == 1);
  kind->stop(&pool->pool);
  tasks_await(&loop, 3); /* both jobs, and who waited for the end */
  check(task_outcome(&running) == BRAID_JOB_CANCELLED && waiter.status == BRAID_OK);
  task_forget(&running);
  task_forget(&queued);
  task_forget(&refused);
  end(pool);
}

/* ---- lone workers ---------------------------------------------------------------------------------------------- */

static int delivered;

static void deliver(struct braid_job *job) {
  delivered++;
  braid_job_unref(job);
}

/* As a worker process has it: the parent may have taken a job back. */
static void a_lone_worker_asks_for_its_jobs(void) {
  int fd;
  struct task tasks[3];
  check(braid_loop_open(&loop) == 0);
  atomic_store(&freed, 0);
  delivered = 0;
  struct braid_thread_pool *pool = braid_thread_pool_lone(work, &settings, free_settings);
  struct braid_job_flag *flags = braid_job_flags_new(3, &fd);
  close(fd);
  for (unsigned i = 0; i < 3; i++) {
    task_make(&tasks[i], &loop, "do");
    struct braid_job *job = tasks[i].job;
    job->home = NULL;
    job->deliver = deliver;
    job->ticket = 3 + i;
    braid_job_ref(job);
    braid_job_flag_issue(&flags[i], job->ticket);
    atomic_store(&job->flag, &flags[i]);
    if (i == 1) check(braid_job_flag_take(&flags[i], job->ticket, BRAID_JOB_FLAG_NONE));
    check(pool->pool.kind->submit(&pool->pool, job) == BRAID_OK);
  }
  pool->pool.kind->close(&pool->pool, false);
  braid_thread_pool_run(pool);
  check(delivered == 3 && braid_pool_look(&pool->pool).stats.done == 2);
  check(braid_job_flag_begun(&flags[0], 3) && !braid_job_flag_begun(&flags[1], 4) &&
        braid_job_flag_begun(&flags[2], 5));
  check(atomic_load(&flags[0].began) != 0 && atomic_load(&flags[1].began) == 0);
  for (int i = 0; i < 3; i++) task_forget(&tasks[i]);
  braid_job_flags_free(flags, 3);
  braid_object_unref(&pool->pool.object);
  check(atomic_load(&freed) == 1);
  braid_loop_close(&loop);
}

/* ---- workers that cannot begin --------------------------------------------------------------------------------- */

static void fail_with_reason(struct braid_worker *worker) {
  braid_worker_fail(worker, braid_message_new("no", 3, NULL, 0));
}

static void fail_without_reason(struct braid_worker *worker) { braid_worker_fail(worker, NULL); }

/* The first does not end by itself; nobody waits for the second. */
static void jobs_are_stopped(void) {
  struct braid_thread_pool *pool = begin(1, work);
  struct task running, forsaken;
  check(task_submit(&running, &loop, &pool->pool, "until stopped") == BRAID_OK);
  check(task_submit(&forsaken, &loop, &pool->pool, "do") == BRAID_OK);
  check(braid_pool_forsake(forsaken.job));
  check(!braid_pool_is_stopped(&pool->pool));
  braid_pool_stop(&pool->pool);
  check(braid_pool_is_stopped(&pool->pool));
  tasks_await(&loop, 1);
  check(task_outcome(&running) == BRAID_JOB_CANCELLED);
  end(pool);
  check(task_outcome(&forsaken) != BRAID_JOB_FAILED && !braid_loop_next(&loop));
  task_forget(&running);
  task_forget(&forsaken);
}

static void wait_then_fail(struct braid_worker *worker) {
  for (struct braid_queue_facts look = {0}; look.size == 0 && !look.closed; usleep(100))
    look = braid_queue_look(worker->pool->jobs);
  braid_worker_fail(worker, braid_message_new("no", 3, NULL, 0));
}

static void a_pool_is_given_up(void) {
  struct task task;
  struct braid_thread_pool *pool = begin(3, wait_then_fail); /* the first reason stays */
  check(task_submit(&task, &loop, &pool->pool, "do") == BRAID_OK);
  tasks_await(&loop, 1);
  check(task_outcome(&task) == BRAID_JOB_FAILED && strcmp(task.job->reply->bytes, "no") == 0);
  task_forget(&task);
  check(task_submit(&task, &loop, &pool->pool, "do") == BRAID_CLOSED);
  task_forget(&task);
  end(pool);
  pool = begin(2, fail_with_reason);
  struct braid_message *failure;
  check(braid_pool_await(&pool->pool, BRAID_NEVER) && !pool->pool.dead);
  check(braid_pool_is_given_up(&pool->pool, &failure) && failure && failure == pool->pool.failure);
  end(pool);
  pool = begin(2, fail_without_reason);
  check(braid_pool_await(&pool->pool, BRAID_NEVER));
  check(braid_pool_is_given_up(&pool->pool, &failure) && !failure && pool->pool.error == ENOMEM);
  end(pool);
}

static void leave_at_once(struct braid_worker *worker) { (void)worker; }

/* The last one that goes leaves no job behind. */
static void workers_that_end_leave_no_job(void) {
  struct task tasks[50];
  struct braid_thread_pool *pool = begin(2, leave_at_once);
  int taken = 0;
  for (int i = 0; i < 50; i++) taken += task_submit(&tasks[i], &loop, &pool->pool, "do") == BRAID_OK;
  tasks_await(&loop, taken);
  for (int i = 0; i < 50; i++) task_forget(&tasks[i]);
  end(pool);
}

static atomic_int shortage; /* the error number; 0: workers can be made */

static void work_when_made(struct braid_worker *worker) {
  int error;
  while ((error = atomic_load(&shortage)))
    if (!braid_worker_is_short(worker, error)) return;
  braid_worker_is_made(worker);
  work(worker);
}

/* What waits fails, what comes later may have more luck. */
static void jobs_end_for_want_of_workers(void) {
  struct task tasks[3], later;
  atomic_store(&shortage, EMFILE);
  struct braid_thread_pool *pool = begin(2, work_when_made);
  for (int i = 0; i < 3; i++) check(task_submit(&tasks[i], &loop, &pool->pool, "do") == BRAID_OK);
  tasks_await(&loop, 3);
  for (int i = 0; i < 3; i++) {
    check(task_outcome(&tasks[i]) == BRAID_JOB_NO_WORKER && tasks[i].job->error == EMFILE);
    task_forget(&tasks[i]);
  }
  atomic_store(&shortage, 0);
  check(task_submit(&later, &loop, &pool->pool, "do") == BRAID_OK);
  tasks_await(&loop, 1);
  check(task_outcome(&later) == BRAID_JOB_DONE && pool->given_up >= 3);
  task_forget(&later);
  end(pool);
  atomic_store(&shortage, ENOMEM); /* until the pool is closed */
  pool = begin(2, work_when_made);
  end(pool);
}

#ifdef __linux__
static void no_threads(void) {
  errno = 0;
  check(braid_thread_pool_new(3, work, &settings, free_settings) == NULL && errno == EAGAIN);
  check(atomic_load(&freed) == 0); /* they stay the caller's */
}

static void refusals_are_told(void) {
  atomic_store(&freed, 0);
  refuse_threads(EAGAIN, no_threads);
}
#else
static void refusals_are_told(void) {}
#endif

CHECK_MAIN({"thread pool: jobs are done", jobs_are_done}, {"thread pool: it comes to rest", a_pool_comes_to_rest},
           {"thread pool: jobs are cancelled", jobs_are_cancelled}, {"thread pool: jobs are stopped", jobs_are_stopped},
           {"thread pool: a closed one refuses", a_closed_pool_refuses},
           {"thread pool: a lone worker asks for its jobs", a_lone_worker_asks_for_its_jobs},
           {"thread pool: it is given up", a_pool_is_given_up},
           {"thread pool: workers that end leave no job", workers_that_end_leave_no_job},
           {"thread pool: jobs end for want of workers", jobs_end_for_want_of_workers},
           {"thread pool: refusals are told", refusals_are_told})
