/* SPDX-License-Identifier: MIT
 * A worker as its pool knows it: the jobs that it was sent, what it has begun, and how it is made to end. */
#include "core/process/worker_handle.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "refusal.h"
#include "workers.h"

#define SECOND INT64_C(1000000000)

static struct workers w;
static struct braid_worker_handle *worker = &w.workers[0];

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static void jobs_have_tickets(void) {
  enum { SLOTS = 4 };
  struct braid_job *jobs[SLOTS];
  struct braid_frame frame;
  uint64_t before[SLOTS] = {0};
  workers_open(&w, SLOTS);
  for (int i = 0; i < SLOTS; i++) jobs[i] = workers_job();
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < SLOTS; i++) {
      braid_worker_handle_assign(worker, jobs[i]);
      check(jobs[i]->ticket > before[i] && jobs[i]->worker_handle == worker && worker->in_flight == (unsigned)i + 1);
      check(!braid_job_flag_begun(atomic_load(&jobs[i]->flag), jobs[i]->ticket));
      for (int k = 0; k < i; k++) check(jobs[k]->ticket % SLOTS != jobs[i]->ticket % SLOTS);
      before[i] = jobs[i]->ticket;
    }
    braid_connection_flush(&worker->connection);
    check(workers_frames(&w, 0, BRAID_FRAME_JOB, &frame) == SLOTS && frame.id == jobs[SLOTS - 1]->ticket);
    check(!braid_worker_handle_release(worker, jobs[0]->ticket + SLOTS)); /* the slot's, but not this job's */
    for (int i = SLOTS - 1; i >= 0; i--) {
      check(braid_worker_handle_release(worker, jobs[i]->ticket) == jobs[i] && !jobs[i]->worker_handle &&
            !atomic_load(&jobs[i]->flag));
      check(!braid_worker_handle_release(worker, jobs[i]->ticket));
    }
    check(worker->in_flight == 0);
  }
  for (int i = 0; i < SLOTS; i++) braid_job_unref(jobs[i]);
  workers_close(&w);
}

static void what_is_not_begun_is_recalled(void) {
  struct braid_job *jobs[4];
  workers_open(&w, 8);
  check(braid_worker_handle_waiting(worker) == 0 && !braid_worker_handle_recall(worker) &&
        braid_worker_handle_begun(worker) == 0);
  for (int i = 0; i < 4; i++) braid_worker_handle_assign(worker, jobs[i] = workers_job());
  check(braid_worker_handle_waiting(worker) == jobs[0]->ticket);
  check(workers_begin_job(jobs[0]) && workers_begin_job(jobs[2]) && !workers_begin_job(jobs[2]));
  check(braid_worker_handle_begun(worker) == 2 && braid_worker_handle_waiting(worker) == jobs[1]->ticket);
  struct braid_begun list[4];
  atomic_store(&worker->pid, 77);
  check(braid_worker_handle_list_begun(worker, list, 1) == 1 && list[0].pid == 77);
  braid_job_unref(list[0].job);
  check(braid_worker_handle_list_begun(worker, list, 4) == 2);
  braid_job_unref(list[0].job);
  braid_job_unref(list[1].job);
  uint64_t recalled = jobs[3]->ticket;
  check(braid_worker_handle_recall(worker) == jobs[3] && worker->in_flight == 3); /* the last that was sent */
  check(braid_worker_handle_recall(worker) == jobs[1] && !braid_worker_handle_recall(worker));
  check(!braid_job_flag_begun(&worker->flags[recalled % 8], recalled));
  atomic_store(&worker->pid, 0);
  for (int i = 0; i < 4; i++) {
    braid_worker_handle_release(worker, jobs[i]->ticket);
    braid_job_unref(jobs[i]);
  }
  workers_close(&w);
}

/* ---- how it is made to end ------------------------------------------------------------------------------------- */

static void jobs_are_asked_to_stop(void) {
  struct braid_job *jobs[2];
  struct braid_frame frame;
  workers_open(&w, 4);
  for (int i = 0; i < 2; i++) braid_worker_handle_assign(worker, jobs[i] = workers_job());
  check(braid_worker_handle_deadline(worker, SECOND) == 0); /* nothing has begun */
  workers_begin_job(jobs[0]);
  check(braid_worker_handle_deadline(worker, SECOND) == 0); /* when it began is not written yet */
  atomic_store(&atomic_load(&jobs[0]->flag)->began, 5 * SECOND);
  check(braid_worker_handle_deadline(worker, SECOND) == 6 * SECOND && braid_worker_handle_deadline(worker, 0) == 0);
  workers_begin_job(jobs[1]);
  atomic_store(&atomic_load(&jobs[1]->flag)->began, 4 * SECOND);
  check(braid_worker_handle_deadline(worker, SECOND) == 5 * SECOND);
  braid_worker_handle_stop(jobs[0]);
  check(atomic_load(&jobs[0]->stop) && workers_frames(&w, 0, BRAID_FRAME_STOP, &frame) == 1);
  check(frame.id == jobs[0]->ticket);
  jobs[0]->stopped = 3 * SECOND;
  check(braid_worker_handle_deadline(worker, SECOND) == 3 * SECOND &&
        braid_worker_handle_deadline(worker, 0) == 3 * SECOND);
  braid_worker_handle_stop_all(worker);
  check(workers_frames(&w, 0, BRAID_FRAME_STOP, &frame) == 1 && frame.id == jobs[1]->ticket); /* the other only */
  for (int i = 0; i < 2; i++) {
    braid_worker_handle_release(worker, jobs[i]->ticket);
    braid_job_unref(jobs[i]);
  }
  workers_close(&w);
}

static void start_sleeper(void) {
  static char *argv[] = {"sleep", "100", NULL}, *environment[] = {"PATH=/bin:/usr/bin", NULL};
  struct braid_child_plan plan = {.argv = argv, .environment = environment, .stdio = {0, 1, 2}};
  check(braid_child_start(&w.io_thread.children, &plan, &worker->child) == 0);
  atomic_store(&worker->pid, worker->child->pid);
}

static int await_child(void) {
  braid_child_await(worker->child);
  return WIFSIGNALED(worker->child->status) ? WTERMSIG(worker->child->status) : 0;
}

static void it_is_pressed_to_end(void) {
  workers_open(&w, 4);
  braid_worker_handle_press(worker, 1, 100 * SECOND, SECOND); /* no process: nothing */
  check(worker->overdue == 0);
  start_sleeper();
  int64_t now = 100 * SECOND;
  braid_worker_handle_press(worker, 0, now, SECOND);
  braid_worker_handle_press(worker, now + 1, now, SECOND);
  check(worker->overdue == 0 && worker->killed == 0);
  braid_worker_handle_press(worker, now - SECOND / 2, now, 2 * SECOND); /* what was another job's does not count */
  check(worker->overdue == SECOND / 2);
  for (int i = 0; i < 3; i++) braid_worker_handle_press(worker, 50 * SECOND, now, SECOND);
  check(worker->killed == 1 && await_child() == SIGTERM);
  for (int i = 0; i < 3; i++) braid_worker_handle_press(worker, 50 * SECOND, now, SECOND);
  check(worker->killed == 2); /* in vain: it has ended */
  braid_worker_handle_press(worker, 0, now, SECOND);
  check(worker->overdue == 0 && worker->killed == 2);
  workers_close(&w);
}

static void silence_is_noticed(void) {
  struct braid_frame frame;
  workers_open(&w, 4);
  check(!braid_worker_handle_is_silent(worker, true, 0, SECOND)); /* there is no process */
  start_sleeper();
  int64_t now = 100 * SECOND;
  check(!braid_worker_handle_is_silent(worker, false, now, SECOND) &&
        workers_frames(&w, 0, BRAID_FRAME_PING, &frame) == 0);
  check(!braid_worker_handle_is_silent(worker, true, now, SECOND) &&
        workers_frames(&w, 0, BRAID_FRAME_PING, &frame) == 1);
  worker->asked_at = now;
  worker->heard = true;
  for (int i = 0; i < 2; i++) check(!braid_worker_handle_is_silent(worker, true, now, SECOND));
  check(braid_worker_handle_is_silent(worker, true, now, SECOND) &&
        workers_frames(&w, 0, BRAID_FRAME_PING, &frame) == 0);
  worker->heard = false;
  check(!braid_worker_handle_is_silent(worker, true, now, SECOND)); /* a new one may need longer */
  atomic_fetch_add(&worker->connection.signs, 1);
  check(!braid_worker_handle_is_silent(worker, true, now, SECOND) && worker->silence == 0);
  worker->asked = false;
  check(!braid_worker_handle_is_silent(worker, true, now + 1, SECOND) && !worker->asked); /* not again at once */
  check(!braid_worker_handle_is_silent(worker, true, now + SECOND, SECOND) && worker->asked);
  worker->silence = 3 * SECOND;
  braid_worker_handle_kill_silent(worker, true);
  check(!worker->silent); /* with what it has begun only after a longer silence */
  worker->silence = 5 * SECOND;
  braid_worker_handle_kill_silent(worker, true);
  check(worker->silent && worker->killed == 2 && await_child() == SIGKILL);
  braid_worker_handle_kill_silent(worker, false);
  workers_close(&w);
}

static void a_job_has_the_fate_of_its_worker(void) {
  workers_open(&w, 4);
  struct braid_job *job = workers_job();
  braid_worker_handle_assign(worker, job);
  workers_begin_job(job);
  atomic_store(&atomic_load(&job->flag)->began, braid_clock_now() - SECOND);
  check(braid_worker_handle_fate(worker, job, SECOND / 2) == BRAID_JOB_DIED); /* by itself */
  worker->killed = 1;
  check(braid_worker_handle_fate(worker, job, SECOND / 2) == BRAID_JOB_OVERDUE);
  check(braid_worker_handle_fate(worker, job, 100 * SECOND) == BRAID_JOB_DIED &&
        braid_worker_handle_fate(worker, job, 0) == BRAID_JOB_DIED);
  worker->silent = true;
  check(braid_worker_handle_fate(worker, job, SECOND / 2) == BRAID_JOB_SILENT);
  job->stopped = 1;
  check(braid_worker_handle_fate(worker, job, SECOND / 2) == BRAID_JOB_CANCELLED);
  braid_worker_handle_release(worker, job->ticket);
  braid_job_unref(job);
  workers_close(&w);
}

/* ---- how it is started ------------------------------------------------------------------------------------------ */

static char *no_program[] = {"/no/such/program", NULL}, *true_program[] = {"true", NULL};
static struct braid_process_plan plan = {.argv = true_program, .settings = "settings", .settings_size = 9, .tasks = 1};

/* Returns the error number. */
static int start(char **argv) {
  workers_open(&w, 4);
  braid_worker_handle_close(worker);
  plan.argv = argv;
  plan.table = braid_message_new("table", 6, NULL, 0);
  int error = braid_worker_handle_start(worker, &w.io_thread, &plan);
  check((worker->child != NULL) == !error && (worker->flags != NULL) == !error &&
        (atomic_load(&worker->pid) != 0) == !error);
  if (!error) check(await_child() == 0 && worker->asked);
  braid_message_unref(plan.table);
  workers_close(&w);
  return error;
}

static void it_is_started(void) {
  check(start(true_program) == 0);
  check(start(no_program) == ENOENT);
}

#ifdef __linux__
/* The rest of the test's own set-up has its descriptors already. */
static void start_without_files(void) { check(start(true_program) == EMFILE); }

static void refusals_are_told(void) { refuse_call(REFUSAL_OPEN, EMFILE, start_without_files); /* /dev/null */ }
#else
static void refusals_are_told(void) {}
#endif

CHECK_MAIN({"worker handle: jobs have tickets", jobs_have_tickets},
           {"worker handle: what is not begun is recalled", what_is_not_begun_is_recalled},
           {"worker handle: jobs are asked to stop", jobs_are_asked_to_stop},
           {"worker handle: it is pressed to end", it_is_pressed_to_end},
           {"worker handle: silence is noticed", silence_is_noticed},
           {"worker handle: a job has the fate of its worker", a_job_has_the_fate_of_its_worker},
           {"worker handle: it is started", it_is_started}, {"worker handle: refusals are told", refusals_are_told})
