/* SPDX-License-Identifier: MIT
 * A ticket is a number that goes up, times the slots, plus the slot: a permit's word is never the same twice, so what a
 * worker finds out of date there is of a job that was recalled. */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

bool braid_peer_init(struct braid_peer *peer, struct braid_process_pool *pool, unsigned slots) {
  peer->pool = pool;
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

static int start_child(struct braid_peer *peer, struct braid_broker *broker, const struct braid_process_plan *plan,
                       int link_end, int permits) {
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC); /* what the user types is not for workers */
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

static bool put_settings(struct braid_peer *peer, const struct braid_process_plan *plan) {
  struct braid_frame frame = {.kind = BRAID_FRAME_SETTINGS, .id = peer->slots, .value = plan->settings_size};
  bool done = braid_link_put_message(&peer->link, frame, plan->settings, plan->settings_size, plan->table);
  braid_link_flush(&peer->link);
  return done;
}

int braid_peer_start(struct braid_peer *peer, struct braid_broker *broker, const struct braid_process_plan *plan) {
  int ends[2], permits;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)) return errno;
  peer->permits = braid_permits_new(peer->slots, &permits);
  int error = peer->permits ? start_child(peer, broker, plan, ends[1], permits) : errno;
  close(ends[1]);
  if (peer->permits) close(permits);
  if (!error) {
    error = braid_link_open(&peer->link, broker, BRAID_LINK_TO_WORKER, ends[0]);
    if (error) forget_child(peer);
  }
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
  braid_permit_set(&peer->permits[slot], frame.id, BRAID_PERMIT_SENT);
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
  for (unsigned i = 0; i < peer->slots && peer->in_flight > 0; i++)
    if (peer->jobs[i] && braid_permit_begun(&peer->permits[i], peer->jobs[i]->ticket)) count++;
  return count;
}
