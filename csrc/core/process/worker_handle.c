/* SPDX-License-Identifier: MIT
 * A ticket is a number that goes up, times the slots, plus the slot: a permit's word is never the same twice, so what a
 * worker finds out of date there is of a job that was recalled. */
#include "core/process/worker_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/limit.h"

extern char **environ;

void braid_process_plan_free(struct braid_process_plan *plan) {
  free(plan->argv);
  free(plan->settings);
  if (plan->table) braid_message_unref(plan->table);
}

bool braid_peer_init(struct braid_peer *peer, struct braid_process_pool *pool, unsigned index, unsigned slots) {
  peer->pool = pool;
  peer->index = index;
  peer->slots = slots;
  peer->link.fd = -1;
  peer->free_slots = calloc(slots, sizeof *peer->free_slots);
  peer->jobs = calloc(slots, sizeof *peer->jobs);
  if (!peer->free_slots || !peer->jobs) return false;
  for (unsigned i = 0; i < slots; i++) peer->free_slots[i] = slots - 1 - i;
  return true;
}

void braid_peer_term(struct braid_peer *peer) {
  free(peer->free_slots);
  free(peer->jobs);
}

/* ---- the process ---------------------------------------------------------------------------------------------- */

/* What the user types is not for workers. */
static int open_null(void) {
  int fd;
  do fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  while (fd < 0 && braid_limit_raised());
  return fd;
}

static int make_ends(int ends[2]) {
  int error;
  do error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) ? errno : 0;
  while (error && braid_limit_raised());
  return error;
}

static int start_child(struct braid_peer *peer, struct braid_broker *broker, const struct braid_process_plan *plan,
                       int link_end, int permits) {
  int null = open_null();
  if (null < 0) return errno;
  struct braid_child_plan child = {
      .argv = plan->argv, .environment = environ, .stdio = {null, 1, 2}, .more = {link_end, permits}, .more_count = 2};
  int error = braid_child_start(&broker->children, &child, &peer->child);
  close(null);
  if (!error) atomic_store(&peer->pid, peer->child->pid);
  return error;
}

static void forget_child(struct braid_peer *peer) {
  braid_child_kill(peer->child, SIGKILL);
  braid_child_release(peer->child);
  peer->child = NULL;
  atomic_store(&peer->pid, 0);
}

/* Before the settings: the answer says that the link is open over there, before any init can freeze. */
static void ask_for_sign(struct braid_peer *peer) {
  peer->asked = true;
  peer->asked_at = braid_clock_now();
  peer->silence = 0;
  braid_link_put(&peer->link, (struct braid_frame){.kind = BRAID_FRAME_PING}, NULL, 0);
}

static bool put_settings(struct braid_peer *peer, const struct braid_process_plan *plan) {
  struct braid_frame frame = {
      .kind = BRAID_FRAME_SETTINGS, .id = peer->slots, .value = plan->settings_size, .status = peer->index};
  bool done = braid_link_put_message(&peer->link, frame, plan->settings, plan->settings_size, plan->table);
  braid_link_flush(&peer->link);
  return done;
}

int braid_peer_start(struct braid_peer *peer, struct braid_broker *broker, const struct braid_process_plan *plan) {
  int ends[2], permits;
  int error = make_ends(ends);
  if (error) return error;
  peer->permits = braid_permits_new(peer->slots, &permits);
  error = peer->permits ? start_child(peer, broker, plan, ends[1], permits) : errno;
  close(ends[1]);
  if (peer->permits) close(permits);
  if (!error) {
    error = braid_link_open(&peer->link, broker, ends[0]);
    if (error) forget_child(peer);
  }
  if (!error) ask_for_sign(peer);
  if (!error && put_settings(peer, plan)) return 0;
  if (!error) { /* memory was out */
    forget_child(peer);
    braid_link_close(&peer->link);
    error = ENOMEM;
  } else {
    close(ends[0]);
  }
  if (peer->permits) braid_permits_free(peer->permits, peer->slots);
  peer->permits = NULL;
  return error;
}

void braid_peer_close(struct braid_peer *peer) {
  atomic_store(&peer->pid, 0);
  if (peer->link.fd >= 0) braid_link_close(&peer->link);
  if (peer->permits) braid_permits_free(peer->permits, peer->slots);
  if (peer->child) braid_child_release(peer->child);
  peer->permits = NULL;
  peer->child = NULL;
}

/* ---- its jobs: guarded ---------------------------------------------------------------------------------------- */

void braid_peer_assign(struct braid_peer *peer, struct braid_job *job) {
  unsigned slot = peer->free_slots[peer->slots - ++peer->in_flight];
  struct braid_frame frame = {.kind = BRAID_FRAME_JOB, .id = ++peer->next_ticket * peer->slots + slot};
  peer->jobs[slot] = job;
  job->peer = peer;
  job->ticket = frame.id;
  braid_permit_issue(&peer->permits[slot], frame.id);
  atomic_store(&job->permit, &peer->permits[slot]);
  braid_link_put_message(&peer->link, frame, NULL, 0,
                         job->call); /* memory out: the link ends, and so does the worker */
}

struct braid_job *braid_peer_release(struct braid_peer *peer, uint64_t ticket) {
  unsigned slot = (unsigned)(ticket % peer->slots);
  struct braid_job *job = peer->jobs[slot];
  if (!job || job->ticket != ticket) return NULL;
  peer->jobs[slot] = NULL;
  peer->free_slots[peer->slots - peer->in_flight--] = slot;
  atomic_store(&job->permit, NULL);
  job->peer = NULL;
  return job;
}

uint64_t braid_peer_waiting(const struct braid_peer *peer) {
  uint64_t first = 0;
  for (unsigned i = 0, left = peer->in_flight; left > 0; i++) {
    const struct braid_job *job = peer->jobs[i];
    if (!job) continue;
    left--;
    if (first && first < job->ticket) continue;
    if (!braid_permit_begun(&peer->permits[i], job->ticket)) first = job->ticket;
  }
  return first;
}

struct braid_job *braid_peer_recall(struct braid_peer *peer) {
  for (;;) {
    struct braid_job *last = NULL;
    for (unsigned i = 0; i < peer->slots; i++) {
      struct braid_job *job = peer->jobs[i];
      if (!job || (last && last->ticket > job->ticket)) continue;
      if (!braid_permit_begun(&peer->permits[i], job->ticket)) last = job;
    }
    if (!last) return NULL;
    struct braid_permit *permit = &peer->permits[last->ticket % peer->slots];
    if (braid_permit_take(permit, last->ticket, BRAID_PERMIT_NONE)) return braid_peer_release(peer, last->ticket);
  }
}

unsigned braid_peer_begun(const struct braid_peer *peer) {
  unsigned count = 0;
  for (unsigned i = 0, left = peer->in_flight; left > 0; i++) {
    if (!peer->jobs[i]) continue;
    left--;
    if (braid_permit_begun(&peer->permits[i], peer->jobs[i]->ticket)) count++;
  }
  return count;
}

unsigned braid_peer_list_begun(const struct braid_peer *peer, struct braid_begun *list, unsigned room) {
  unsigned count = 0;
  for (unsigned i = 0; i < peer->slots && peer->in_flight > 0 && count < room; i++) {
    struct braid_job *job = peer->jobs[i];
    if (!job || !braid_permit_begun(&peer->permits[i], job->ticket)) continue;
    braid_job_ref(job);
    list[count++] = (struct braid_begun){job, atomic_load(&peer->pid), atomic_load(&peer->permits[i].began)};
  }
  return count;
}

/* ---- jobs and workers that are to end ------------------------------------------------------------------------- */

#define GRACE (3 * BRAID_SECOND)      /* from the request to end to SIGTERM */
#define LAST_GRACE (1 * BRAID_SECOND) /* from there to SIGKILL */

void braid_peer_stop(struct braid_job *job) {
  struct braid_frame frame = {.kind = BRAID_FRAME_STOP, .id = job->ticket};
  atomic_store(&job->stop, true);
  job->stopped = braid_clock_now();
  braid_link_put(&job->peer->link, frame, NULL, 0);
  braid_link_flush(&job->peer->link);
}

void braid_peer_stop_all(struct braid_peer *peer) {
  for (unsigned i = 0; peer->in_flight > 0 && i < peer->slots; i++)
    if (peer->jobs[i] && !atomic_load(&peer->jobs[i]->stop)) braid_peer_stop(peer->jobs[i]);
}

int64_t braid_peer_deadline(const struct braid_peer *peer, int64_t time_limit) {
  int64_t first = 0;
  for (unsigned i = 0, left = peer->in_flight; left > 0; i++) {
    const struct braid_job *job = peer->jobs[i];
    if (!job) continue;
    left--;
    if (!braid_permit_begun(&peer->permits[i], job->ticket)) continue;
    int64_t began = atomic_load(&peer->permits[i].began), deadline = 0;
    if (time_limit && began) deadline = began + time_limit;
    if (job->stopped && (!deadline || job->stopped < deadline)) deadline = job->stopped;
    if (deadline && (!first || deadline < first)) first = deadline;
  }
  return first;
}

/* What has passed is counted in small steps, not seen by the clock: that goes on while we are stopped ourselves. */
void braid_peer_press(struct braid_peer *peer, int64_t deadline, int64_t now, int64_t elapsed) {
  if (!peer->child || !deadline || now < deadline) {
    peer->overdue = 0;
    return;
  }
  peer->overdue += elapsed;
  if (peer->overdue > now - deadline) peer->overdue = now - deadline; /* the rest was another job's, which has ended */
  if (peer->killed == 0 && peer->overdue > GRACE) {
    peer->killed = 1;
    braid_child_kill(peer->child, SIGTERM);
  } else if (peer->killed == 1 && peer->overdue > GRACE + LAST_GRACE) {
    peer->killed = 2;
    braid_child_kill(peer->child, SIGKILL);
  }
}

/* ---- signs of life -------------------------------------------------------------------------------------------- */

#define SILENCE (2 * BRAID_SECOND)        /* after which what it has not begun goes elsewhere */
#define LONG_SILENCE (4 * BRAID_SECOND)   /* after which it is killed with what it has begun */
#define FIRST_SILENCE (30 * BRAID_SECOND) /* that a new one may need until it is there */
#define ASK_AGAIN (100 * 1000 * 1000)     /* after an answer */

bool braid_peer_is_silent(struct braid_peer *peer, bool suspect, int64_t now, int64_t elapsed) {
  if (!peer->child) return false;
  uint64_t signs = atomic_load(&peer->link.signs);
  if (!suspect || signs != peer->signs)
    peer->silence = 0;
  else if (peer->asked)
    peer->silence += elapsed;
  peer->signs = signs;
  if (suspect && !peer->asked && now - peer->asked_at > ASK_AGAIN) {
    ask_for_sign(peer);
    braid_link_flush(&peer->link);
  }
  return peer->silence > (peer->heard ? SILENCE : FIRST_SILENCE);
}

void braid_peer_kill_silent(struct braid_peer *peer, bool has_begun) {
  if (peer->silent || (has_begun && peer->silence <= LONG_SILENCE)) return;
  peer->silent = true;
  peer->killed = 2;
  braid_child_kill(peer->child, SIGKILL); /* what is stopped does not hear anything else */
}

/* Where we have killed it, the job is what we killed it for. */
enum braid_job_outcome braid_peer_fate(const struct braid_peer *peer, const struct braid_job *job, int64_t time_limit) {
  int64_t began = atomic_load(&peer->permits[job->ticket % peer->slots].began);
  if (!peer->killed) return BRAID_JOB_DIED;
  if (job->stopped) return BRAID_JOB_CANCELLED;
  if (peer->silent) return BRAID_JOB_SILENT;
  return time_limit && began && braid_clock_now() > began + time_limit ? BRAID_JOB_OVERDUE : BRAID_JOB_DIED;
}
