/* SPDX-License-Identifier: MIT
 * What a worker has not begun can be recalled, and is: when it dies, or is held up, or when another has nothing to do.
 */
#include "core/process/dispatch.h"

enum {
  AHEAD = 64,               /* jobs that a worker may be sent ahead */
  AHEAD_TIME = 500 * 1000,  /* ns: the work that these are to make */
  LONG = 10 * 1000 * 1000,  /* ns: jobs that take longer are not sent ahead at all */
  MOMENT = 20 * 1000 * 1000 /* ns: in which a worker begins a job unless something holds it up */
};

void braid_dispatch_init(struct braid_dispatch *dispatch, struct braid_peer *peers, unsigned count, unsigned tasks) {
  *dispatch = (struct braid_dispatch){.peers = peers, .count = count, .tasks = tasks};
  braid_list_init(&dispatch->pending);
}

unsigned braid_dispatch_slots(unsigned tasks) {
  unsigned slots = 2 * AHEAD;
  while (slots < tasks + AHEAD) slots *= 2;
  return slots;
}

/* ---- those that wait ------------------------------------------------------------------------------------------ */

static struct braid_job *job_of(struct braid_list *link) { return braid_container(link, struct braid_job, link); }

/* Only what was recalled, too, comes before it: that is near. */
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

void braid_dispatch_recall(struct braid_dispatch *dispatch, struct braid_peer *peer) {
  struct braid_job *job;
  while ((job = braid_peer_recall(peer))) braid_dispatch_return(dispatch, job);
}

void braid_dispatch_recall_all(struct braid_dispatch *dispatch) {
  for (unsigned i = 0; i < dispatch->count; i++) braid_dispatch_recall(dispatch, &dispatch->peers[i]);
}

/* ---- handing out ---------------------------------------------------------------------------------------------- */

/* How many jobs a worker may have that is not held up. */
static unsigned depth_of(const struct braid_dispatch *dispatch) {
  if (dispatch->typical == 0 || dispatch->typical > LONG) return dispatch->tasks;
  int64_t ahead = AHEAD_TIME / dispatch->typical;
  return dispatch->tasks + (ahead < 1 ? 1 : ahead > AHEAD ? AHEAD : (unsigned)ahead);
}

/* Gives it jobs up to so many. */
static void fill(struct braid_dispatch *dispatch, struct braid_peer *peer, unsigned depth) {
  if (!braid_peer_is_open(peer) || peer->in_flight >= depth || !dispatch->pending_count) return;
  while (peer->in_flight < depth && dispatch->pending_count > 0) braid_peer_assign(peer, braid_dispatch_pop(dispatch));
  braid_link_flush(&peer->link);
}

/* Who has nothing to do takes what others have not begun. */
static void share_out(struct braid_dispatch *dispatch, struct braid_peer *idle) {
  enum { WORTH_IT = 100 * 1000 };
  struct braid_peer *most = NULL;
  if (!braid_peer_is_open(idle) || idle->in_flight > 0 || dispatch->typical < WORTH_IT) return;
  for (unsigned i = 0; i < dispatch->count; i++) {
    struct braid_peer *peer = &dispatch->peers[i];
    if (peer->in_flight > dispatch->tasks && (!most || peer->in_flight > most->in_flight)) most = peer;
  }
  struct braid_job *job = most ? braid_peer_recall(most) : NULL;
  if (!job) return;
  braid_dispatch_return(dispatch, job);
  fill(dispatch, idle, 1);
}

/* Ahead are filled up those that have come down to half of it. */
void braid_dispatch_hand_out(struct braid_dispatch *dispatch) {
  for (unsigned i = 0; i < dispatch->count; i++) fill(dispatch, &dispatch->peers[i], dispatch->tasks);
  for (unsigned i = 0; i < dispatch->count && dispatch->pending_count > 0; i++) {
    struct braid_peer *peer = &dispatch->peers[i];
    unsigned depth = depth_of(dispatch);
    if (depth - dispatch->tasks > dispatch->pending_count) depth = dispatch->tasks + (unsigned)dispatch->pending_count;
    if (peer->in_flight <= depth / 2 || depth <= dispatch->tasks + 1) fill(dispatch, peer, depth);
  }
  for (unsigned i = 0; i < dispatch->count && dispatch->pending_count == 0; i++)
    share_out(dispatch, &dispatch->peers[i]);
}

static struct braid_peer *find_idle(struct braid_dispatch *dispatch) {
  struct braid_peer *best = NULL;
  for (unsigned i = 0; i < dispatch->count; i++) {
    struct braid_peer *peer = &dispatch->peers[i];
    if (!braid_peer_is_open(peer) || peer->in_flight >= dispatch->tasks) continue;
    if (!best || peer->in_flight < best->in_flight) best = peer;
    if (best->in_flight == 0) break;
  }
  return best;
}

static void send(struct braid_peer *peer, struct braid_job *job) {
  braid_peer_assign(peer, job);
  braid_link_flush(&peer->link);
}

bool braid_dispatch_submit(struct braid_dispatch *dispatch, struct braid_job *job) {
  struct braid_peer *idle = dispatch->pending_count > 0 ? NULL : find_idle(dispatch);
  job->turn = ++dispatch->turns;
  if (idle)
    send(idle, job);
  else
    push_back(dispatch, job);
  return idle != NULL;
}

/* ---- what is learned ------------------------------------------------------------------------------------------ */

/* Where nobody can take them they stay: it may go on any time. */
static void relieve(struct braid_dispatch *dispatch, struct braid_peer *peer) {
  struct braid_peer *idle;
  struct braid_job *job;
  bool stuck = peer->stuck;
  peer->stuck = true; /* it is not to find itself */
  while ((idle = find_idle(dispatch)) && (job = braid_peer_recall(peer))) {
    send(idle, job);
    stuck = true;
  }
  peer->stuck = stuck;
}

static void look_at_waiting(struct braid_dispatch *dispatch, struct braid_peer *peer, int64_t now) {
  uint64_t waiting = braid_peer_waiting(peer);
  if (waiting != peer->waiting) {
    peer->waiting = waiting;
    peer->waiting_since = now;
  } else if (waiting && now - peer->waiting_since > MOMENT) {
    relieve(dispatch, peer);
  }
}

void braid_dispatch_look(struct braid_dispatch *dispatch, struct braid_peer *peer, int64_t now) {
  struct braid_job *job;
  look_at_waiting(dispatch, peer, now);
  if (peer->in_flight > dispatch->tasks && peer->replies == peer->seen_replies) {
    peer->stuck = true;
    while (peer->in_flight > dispatch->tasks && (job = braid_peer_recall(peer))) braid_dispatch_return(dispatch, job);
  }
  peer->seen_replies = peer->replies;
}

void braid_dispatch_learn(struct braid_dispatch *dispatch, int64_t busy) {
  if (busy < 1) busy = 1;
  dispatch->typical = dispatch->typical ? (dispatch->typical * 7 + busy) / 8 + 1 : busy;
}

/* ---- counting ------------------------------------------------------------------------------------------------- */

unsigned braid_dispatch_begun(const struct braid_dispatch *dispatch) {
  unsigned begun = 0;
  for (unsigned i = 0; i < dispatch->count; i++) begun += braid_peer_begun(&dispatch->peers[i]);
  return begun;
}

size_t braid_dispatch_queued(const struct braid_dispatch *dispatch) {
  size_t count = dispatch->pending_count;
  for (unsigned i = 0; i < dispatch->count; i++) count += dispatch->peers[i].in_flight;
  return count - braid_dispatch_begun(dispatch);
}
