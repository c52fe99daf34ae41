/* SPDX-License-Identifier: MIT
 * A job that a worker has not begun can be recalled. It is recalled when the worker dies, when the worker is stuck, or
 * when another worker has nothing to do. */
#include "core/process/dispatch.h"

enum {
  AHEAD = 64,               /* the most jobs that a worker is sent in advance */
  AHEAD_TIME = 500 * 1000,  /* ns of work that these jobs should make */
  LONG = 10 * 1000 * 1000,  /* ns: jobs longer than this are not sent in advance */
  MOMENT = 20 * 1000 * 1000 /* ns in which a worker begins a job, unless it is stuck */
};

void braid_dispatch_init(struct braid_dispatch *dispatch, struct braid_worker_handle *workers, unsigned count,
                         unsigned tasks) {
  *dispatch = (struct braid_dispatch){.workers = workers, .count = count, .tasks = tasks};
  braid_list_init(&dispatch->pending);
}

unsigned braid_dispatch_slots(unsigned tasks) {
  unsigned slots = 2 * AHEAD;
  while (slots < tasks + AHEAD) slots *= 2;
  return slots;
}

/* ---- pending jobs --------------------------------------------------------------------------------------------- */

static struct braid_job *job_of(struct braid_list *link) { return braid_container(link, struct braid_job, link); }

/* The search is short: only other recalled jobs can come before this one. */
void braid_dispatch_return(struct braid_dispatch *dispatch, struct braid_job *job) {
  struct braid_list *next = dispatch->pending.next;
  while (next != &dispatch->pending && job_of(next)->turn < job->turn) next = next->next;
  braid_list_push(next, &job->link);
  dispatch->pending_count++;
}

static void push_back(struct braid_dispatch *dispatch, struct braid_job *job) {
  braid_list_push(&dispatch->pending, &job->link);
  dispatch->pending_count++;
}

struct braid_job *braid_dispatch_pop(struct braid_dispatch *dispatch) {
  struct braid_list *first = braid_list_pop(&dispatch->pending);
  if (!first) return NULL;
  dispatch->pending_count--;
  return job_of(first);
}

bool braid_dispatch_remove(struct braid_dispatch *dispatch, struct braid_job *job) {
  if (braid_list_empty(&job->link)) return false;
  braid_list_remove(&job->link);
  dispatch->pending_count--;
  return true;
}

void braid_dispatch_recall(struct braid_dispatch *dispatch, struct braid_worker_handle *worker) {
  struct braid_job *job;
  while ((job = braid_worker_handle_recall(worker))) braid_dispatch_return(dispatch, job);
}

void braid_dispatch_recall_all(struct braid_dispatch *dispatch) {
  for (unsigned i = 0; i < dispatch->count; i++) braid_dispatch_recall(dispatch, &dispatch->workers[i]);
}

/* ---- assignment ----------------------------------------------------------------------------------------------- */

/* How many jobs a worker may have when it is not stuck. */
static unsigned depth_of(const struct braid_dispatch *dispatch) {
  if (dispatch->typical == 0 || dispatch->typical > LONG) return dispatch->tasks;
  int64_t ahead = AHEAD_TIME / dispatch->typical;
  return dispatch->tasks + (ahead < 1 ? 1 : ahead > AHEAD ? AHEAD : (unsigned)ahead);
}

/* Sends the worker jobs until it has `depth`. */
static void fill(struct braid_dispatch *dispatch, struct braid_worker_handle *worker, unsigned depth) {
  if (!braid_worker_handle_is_open(worker) || worker->in_flight >= depth || !dispatch->pending_count) return;
  while (worker->in_flight < depth && dispatch->pending_count > 0)
    braid_worker_handle_assign(worker, braid_dispatch_pop(dispatch));
  braid_connection_flush(&worker->connection);
}

bool braid_dispatch_has_more(const struct braid_dispatch *dispatch) {
  for (unsigned i = 0; i < dispatch->count; i++)
    if (dispatch->workers[i].in_flight > dispatch->tasks) return true;
  return false;
}

/* Moves one job, not yet begun, from the worker that has the most to an idle one. */
static void share_out(struct braid_dispatch *dispatch, struct braid_worker_handle *idle) {
  enum { WORTH_IT = 100 * 1000 };
  struct braid_worker_handle *most = NULL;
  if (!braid_worker_handle_is_open(idle) || idle->in_flight > 0 || dispatch->typical < WORTH_IT) return;
  for (unsigned i = 0; i < dispatch->count; i++) {
    struct braid_worker_handle *worker = &dispatch->workers[i];
    if (worker->in_flight > dispatch->tasks && (!most || worker->in_flight > most->in_flight)) most = worker;
  }
  struct braid_job *job = most ? braid_worker_handle_recall(most) : NULL;
  if (!job) return;
  braid_dispatch_return(dispatch, job);
  fill(dispatch, idle, 1);
}

/* First every worker gets as many jobs as it runs at once. Then a worker that has at most half of its depth left is
 * filled up to the depth. */
void braid_dispatch_hand_out(struct braid_dispatch *dispatch) {
  for (unsigned i = 0; i < dispatch->count; i++) fill(dispatch, &dispatch->workers[i], dispatch->tasks);
  for (unsigned i = 0; i < dispatch->count && dispatch->pending_count > 0; i++) {
    struct braid_worker_handle *worker = &dispatch->workers[i];
    unsigned depth = depth_of(dispatch);
    if (depth - dispatch->tasks > dispatch->pending_count) depth = dispatch->tasks + (unsigned)dispatch->pending_count;
    if (worker->in_flight <= depth / 2 || depth <= dispatch->tasks + 1) fill(dispatch, worker, depth);
  }
  for (unsigned i = 0; i < dispatch->count && dispatch->pending_count == 0; i++)
    share_out(dispatch, &dispatch->workers[i]);
}

static struct braid_worker_handle *find_idle(struct braid_dispatch *dispatch) {
  struct braid_worker_handle *best = NULL;
  for (unsigned i = 0; i < dispatch->count; i++) {
    struct braid_worker_handle *worker = &dispatch->workers[i];
    if (!braid_worker_handle_is_open(worker) || worker->in_flight >= dispatch->tasks) continue;
    if (!best || worker->in_flight < best->in_flight) best = worker;
    if (best->in_flight == 0) break;
  }
  return best;
}

bool braid_dispatch_submit(struct braid_dispatch *dispatch, struct braid_job *job) {
  struct braid_worker_handle *idle = dispatch->pending_count > 0 ? NULL : find_idle(dispatch);
  job->turn = ++dispatch->turns;
  if (idle)
    braid_worker_handle_send(idle, job);
  else
    push_back(dispatch, job);
  return idle != NULL;
}

/* ---- observation ---------------------------------------------------------------------------------------------- */

/* Moves jobs to idle workers. Jobs that no idle worker can take stay, because the worker may go on at any time. */
static void relieve(struct braid_dispatch *dispatch, struct braid_worker_handle *worker) {
  struct braid_worker_handle *idle;
  struct braid_job *job;
  bool stuck = worker->stuck;
  worker->stuck = true; /* so that find_idle does not return it */
  while ((idle = find_idle(dispatch)) && (job = braid_worker_handle_recall(worker))) {
    braid_worker_handle_send(idle, job);
    stuck = true;
  }
  worker->stuck = stuck;
}

static void look_at_waiting(struct braid_dispatch *dispatch, struct braid_worker_handle *worker, int64_t now) {
  uint64_t waiting = braid_worker_handle_waiting(worker);
  if (waiting != worker->waiting) {
    worker->waiting = waiting;
    worker->waiting_since = now;
  } else if (waiting && now - worker->waiting_since > MOMENT) {
    relieve(dispatch, worker);
  }
}

void braid_dispatch_look(struct braid_dispatch *dispatch, struct braid_worker_handle *worker, int64_t now) {
  struct braid_job *job;
  look_at_waiting(dispatch, worker, now);
  if (worker->in_flight > dispatch->tasks && worker->replies == worker->seen_replies) {
    worker->stuck = true;
    while (worker->in_flight > dispatch->tasks && (job = braid_worker_handle_recall(worker)))
      braid_dispatch_return(dispatch, job);
  }
  worker->seen_replies = worker->replies;
}

void braid_dispatch_learn(struct braid_dispatch *dispatch, int64_t busy) {
  if (busy < 1) busy = 1;
  dispatch->typical = dispatch->typical ? (dispatch->typical * 7 + busy) / 8 + 1 : busy;
}

/* ---- counts --------------------------------------------------------------------------------------------------- */

unsigned braid_dispatch_begun(const struct braid_dispatch *dispatch) {
  unsigned begun = 0;
  for (unsigned i = 0; i < dispatch->count; i++) begun += braid_worker_handle_begun(&dispatch->workers[i]);
  return begun;
}

size_t braid_dispatch_queued(const struct braid_dispatch *dispatch) {
  size_t count = dispatch->pending_count;
  for (unsigned i = 0; i < dispatch->count; i++) count += dispatch->workers[i].in_flight;
  return count - braid_dispatch_begun(dispatch);
}
