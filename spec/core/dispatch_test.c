/* SPDX-License-Identifier: MIT
 * Which worker gets which job: at once, in turn, ahead where jobs are short, and back from workers that are held up. */
#include "core/process/dispatch.h"

#include "workers.h"

enum { MOST = 512 };
#define MS INT64_C(1000000)

static struct workers w;
static struct braid_dispatch dispatch;
static struct braid_job *jobs[MOST];
static int made;

static void begin(unsigned tasks) {
  workers_open(&w, braid_dispatch_slots(tasks));
  braid_dispatch_init(&dispatch, w.workers, WORKERS, tasks);
  made = 0;
}

/* Jobs that the test ends are the workers' still, or the list's. */
static void end(void) {
  for (int i = 0; i < made; i++) {
    if (jobs[i]->worker_handle) braid_worker_handle_release(jobs[i]->worker_handle, jobs[i]->ticket);
    braid_dispatch_remove(&dispatch, jobs[i]);
    braid_job_unref(jobs[i]);
  }
  check(dispatch.pending_count == 0 && braid_list_empty(&dispatch.pending));
  workers_close(&w);
}

static struct braid_job *submit(bool *at_once) {
  struct braid_job *job = jobs[made++] = workers_job();
  bool given = braid_dispatch_submit(&dispatch, job);
  check(given == (job->worker_handle != NULL));
  if (at_once) *at_once = given;
  return job;
}

static unsigned has(int worker) { return w.workers[worker].in_flight; }

static void slots_have_room_for_what_is_ahead(void) {
  for (unsigned tasks = 1; tasks <= 5000; tasks = tasks * 3 + 1) {
    unsigned slots = braid_dispatch_slots(tasks);
    check(slots >= tasks + 64 && (slots & (slots - 1)) == 0);
  }
}

static void idle_workers_get_jobs_at_once(void) {
  bool at_once;
  struct braid_frame frame;
  begin(2);
  for (int i = 0; i < 2 * WORKERS; i++) {
    submit(&at_once);
    check(at_once);
  }
  for (int i = 0; i < WORKERS; i++) check(has(i) == 2 && workers_frames(&w, i, BRAID_FRAME_JOB, &frame) == 2);
  struct braid_job *waits = submit(&at_once);
  check(!at_once && dispatch.pending_count == 1 && braid_dispatch_queued(&dispatch) == 7);
  braid_worker_handle_release(jobs[0]->worker_handle, jobs[0]->ticket);
  submit(&at_once);
  check(!at_once); /* it does not pass the one that waits */
  braid_dispatch_hand_out(&dispatch);
  check(waits->worker_handle != NULL && dispatch.pending_count == 1 && has(0) == 2);
  workers_begin_job(waits);
  check(braid_dispatch_begun(&dispatch) == 1 && braid_dispatch_queued(&dispatch) == 6);
  end();
}

static void only_open_workers_get_jobs(void) {
  bool at_once;
  begin(1);
  w.workers[0].usable = false;
  w.workers[1].ready = false;
  w.workers[2].stuck = true;
  submit(&at_once);
  check(!at_once);
  braid_dispatch_hand_out(&dispatch);
  check(dispatch.pending_count == 1);
  w.workers[1].ready = true;
  braid_dispatch_hand_out(&dispatch);
  check(has(1) == 1 && dispatch.pending_count == 0);
  end();
}

static void short_jobs_go_ahead(void) {
  begin(1);
  for (int i = 0; i < 300; i++) submit(NULL);
  check(dispatch.pending_count == 300 - WORKERS); /* nothing is known of them yet */
  braid_dispatch_learn(&dispatch, 20 * MS);
  braid_dispatch_hand_out(&dispatch);
  check(has(0) == 1); /* long ones are not sent ahead */
  dispatch.typical = 0;
  braid_dispatch_learn(&dispatch, 2 * MS);
  braid_dispatch_hand_out(&dispatch);
  check(has(0) == 2 && has(2) == 2);
  dispatch.typical = 0;
  braid_dispatch_learn(&dispatch, 0);
  check(dispatch.typical == 1);
  braid_dispatch_hand_out(&dispatch);
  for (int i = 0; i < WORKERS; i++) check(has(i) == 65); /* the bound */
  check(dispatch.pending_count == 300 - 3 * 65);
  braid_dispatch_hand_out(&dispatch);
  check(has(0) == 65); /* not before half of them are done */
  for (int i = 0; i < 8; i++) braid_dispatch_learn(&dispatch, 8 * MS);
  check(dispatch.typical > 1 * MS && dispatch.typical < 8 * MS);
  end();
}

static void few_jobs_are_shared_evenly(void) {
  begin(1);
  for (int i = 0; i < WORKERS + 2; i++) submit(NULL);
  braid_dispatch_learn(&dispatch, 1000);
  braid_dispatch_hand_out(&dispatch);
  check(dispatch.pending_count == 0);
  unsigned most = 0;
  for (int i = 0; i < WORKERS; i++) most = has(i) > most ? has(i) : most;
  check(most <= 3);
  end();
}

static void the_idle_take_from_the_busy(void) {
  begin(1);
  w.workers[1].usable = w.workers[2].usable = false;
  for (int i = 0; i < 4; i++) submit(NULL);
  dispatch.typical = MS / 20;
  braid_dispatch_hand_out(&dispatch);
  check(has(0) == 4 && dispatch.pending_count == 0);
  w.workers[1].usable = true;
  braid_dispatch_hand_out(&dispatch);
  check(has(1) == 0); /* such short ones are not worth it */
  dispatch.typical = MS;
  braid_dispatch_hand_out(&dispatch);
  check(has(1) == 1 && has(0) == 3 && jobs[3]->worker_handle == &w.workers[1]); /* the last */
  braid_dispatch_hand_out(&dispatch);
  check(has(1) == 1); /* it has something to do now */
  for (int i = 0; i < 3; i++) workers_begin_job(jobs[i]);
  w.workers[2].usable = true;
  braid_dispatch_hand_out(&dispatch);
  check(has(2) == 0); /* what was begun stays */
  end();
}

static void what_comes_back_keeps_its_turn(void) {
  begin(1);
  for (int i = 0; i < WORKERS + 3; i++) submit(NULL);
  workers_begin_job(jobs[1]);
  braid_dispatch_recall_all(&dispatch);
  check(has(0) == 0 && has(1) == 1 && has(2) == 0 && dispatch.pending_count == 5);
  static const int order[] = {0, 2, 3, 4, 5};
  check(braid_dispatch_remove(&dispatch, jobs[4]) && !braid_dispatch_remove(&dispatch, jobs[4]));
  braid_dispatch_return(&dispatch, jobs[4]);
  for (int i = 0; i < 5; i++) check(braid_dispatch_pop(&dispatch) == jobs[order[i]]);
  check(braid_dispatch_pop(&dispatch) == NULL);
  end();
}

/* ---- workers that are held up ---------------------------------------------------------------------------------- */

static void who_does_not_begin_is_relieved(void) {
  begin(1);
  struct braid_job *job = submit(NULL);
  struct braid_worker_handle *late = job->worker_handle;
  braid_dispatch_look(&dispatch, late, 10 * MS);
  check(late->waiting == job->ticket && late->waiting_since == 10 * MS);
  braid_dispatch_look(&dispatch, late, 20 * MS);
  check(job->worker_handle == late); /* a moment is allowed */
  braid_dispatch_look(&dispatch, late, 31 * MS);
  check(job->worker_handle && job->worker_handle != late && late->stuck);
  late->stuck = false;
  late = job->worker_handle;
  for (int i = 0; i < WORKERS; i++) w.workers[i].usable = &w.workers[i] == late;
  braid_dispatch_look(&dispatch, late, 100 * MS);
  braid_dispatch_look(&dispatch, late, 200 * MS);
  check(job->worker_handle == late && !late->stuck); /* nobody else can take it */
  workers_begin_job(job);
  braid_dispatch_look(&dispatch, late, 300 * MS);
  check(late->waiting == 0);
  end();
}

static void who_does_not_reply_keeps_nothing_ahead(void) {
  begin(1);
  w.workers[1].usable = w.workers[2].usable = false;
  struct braid_worker_handle *slow = &w.workers[0];
  for (int i = 0; i < 5; i++) submit(NULL);
  braid_dispatch_learn(&dispatch, 1000);
  braid_dispatch_hand_out(&dispatch);
  check(slow->in_flight == 5);
  workers_begin_job(jobs[0]);
  slow->replies++;
  braid_dispatch_look(&dispatch, slow, MS);
  check(slow->in_flight == 5 && !slow->stuck);
  braid_dispatch_look(&dispatch, slow, 2 * MS);
  check(slow->in_flight == 1 && slow->stuck && dispatch.pending_count == 4);
  check(braid_dispatch_pop(&dispatch) == jobs[1]);
  braid_dispatch_return(&dispatch, jobs[1]);
  end();
}

CHECK_MAIN({"dispatch: slots have room for what is ahead", slots_have_room_for_what_is_ahead},
           {"dispatch: idle workers get jobs at once", idle_workers_get_jobs_at_once},
           {"dispatch: only open workers get jobs", only_open_workers_get_jobs},
           {"dispatch: short jobs go ahead", short_jobs_go_ahead},
           {"dispatch: few jobs are shared evenly", few_jobs_are_shared_evenly},
           {"dispatch: the idle take from the busy", the_idle_take_from_the_busy},
           {"dispatch: what comes back keeps its turn", what_comes_back_keeps_its_turn},
           {"dispatch: who does not begin is relieved", who_does_not_begin_is_relieved},
           {"dispatch: who does not reply keeps nothing ahead", who_does_not_reply_keeps_nothing_ahead})
