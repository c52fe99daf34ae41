/* SPDX-License-Identifier: MIT
 * Three processes in one, for C tests: a home, a process in the middle and one beyond it, whose links are served by one
 * loop on the calling thread. */
#ifndef BRAID_NEIGHBOURS_H
#define BRAID_NEIGHBOURS_H

#include <sys/socket.h>

#include "core/process/marshal.h"
#include "core/process/proxy_queue.h"
#include "check.h"

enum { HOME, MIDDLE_HOME, MIDDLE_FAR, FAR, ENDS }; /* links: home - middle, middle - far */

struct neighbours {
  struct braid_broker broker;
  struct braid_link links[ENDS];
  bool ended[ENDS];
  struct braid_object *came[ENDS]; /* the last object that was sent to this end, with a reference */
};

static struct neighbours *neighbours_of(struct braid_link *link) {
  return braid_container(link->broker, struct neighbours, broker);
}

static inline void on_object(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct neighbours *n = neighbours_of(link);
  struct braid_message *message = braid_link_message(link, frame, body, 0);
  if (!message || message->object_count != 1) {
    if (message) braid_message_unref(message);
    braid_link_fail(link, "this is no object");
    return;
  }
  struct braid_object **came = &n->came[link - n->links];
  if (*came) braid_object_unref(*came);
  *came = message->objects[0];
  braid_object_ref(*came);
  braid_message_unref(message);
}

static inline void on_link_end(struct braid_link *link) {
  struct neighbours *n = neighbours_of(link);
  n->ended[link - n->links] = true;
}

static inline void neighbours_open(struct neighbours *n) {
  memset(n, 0, sizeof *n);
  n->broker.users = 1;
  braid_passport_use();
  check(braid_loop_open(&n->broker.loop) == 0);
  for (int i = 0; i < ENDS; i += 2) {
    int ends[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    for (int k = 0; k < 2; k++) {
      check(braid_link_open(&n->links[i + k], &n->broker, ends[k]) == 0);
      n->links[i + k].ended = on_link_end;
      braid_link_handle(&n->links[i + k], BRAID_FRAME_JOB, on_object);
    }
  }
}

/* Until nothing more happens by itself. Tasks' waiters that come home have the state 1. */
static inline void neighbours_settle(struct neighbours *n) {
  for (int idle = 0; idle < 3; idle++) {
    struct braid_waiter *waiter;
    braid_loop_poll(&n->broker.loop, 0);
    while ((waiter = braid_loop_next(&n->broker.loop))) {
      idle = 0;
      if (waiter->kind == BRAID_WAITER_ERRAND) {
        struct braid_errand *errand = braid_container(waiter, struct braid_errand, waiter);
        atomic_store(&errand->under_way, false);
        errand->run(errand);
      } else {
        waiter->state = 1;
      }
    }
  }
}

static inline void neighbours_close_end(struct neighbours *n, int end) {
  if (n->links[end].fd >= 0) braid_link_close(&n->links[end]);
  neighbours_settle(n);
}

static inline void neighbours_forget(struct neighbours *n) {
  for (int i = 0; i < ENDS; i++) {
    if (n->came[i]) braid_object_unref(n->came[i]);
    n->came[i] = NULL;
  }
}

static inline void neighbours_close(struct neighbours *n) {
  neighbours_forget(n);
  neighbours_settle(n);
  neighbours_forget(n); /* what was on its way */
  for (int i = 0; i < ENDS; i++) neighbours_close_end(n, i);
  neighbours_forget(n);
  braid_loop_close(&n->broker.loop);
}

/* Sends an object over a link; what stands for it at the other end, which keeps it. */
static inline struct braid_object *neighbours_send(struct neighbours *n, int end, struct braid_object *object) {
  struct braid_message *message = braid_message_new("", 0, &object, 1);
  check(braid_link_put_message(&n->links[end], (struct braid_frame){.kind = BRAID_FRAME_JOB}, NULL, 0, message));
  braid_link_flush(&n->links[end]);
  braid_message_unref(message);
  neighbours_settle(n);
  return n->came[end ^ 1];
}

#endif
