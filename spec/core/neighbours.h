/* SPDX-License-Identifier: MIT
 * Three processes in one, for C tests: a home, a process in the middle and one beyond it, whose connections are served
 * by one loop on the calling thread. */
#ifndef BRAID_NEIGHBOURS_H
#define BRAID_NEIGHBOURS_H

#include <sys/socket.h>

#include "core/process/marshal.h"
#include "core/process/proxy_queue.h"
#include "check.h"

enum { HOME, MIDDLE_HOME, MIDDLE_FAR, FAR, ENDS }; /* connections: home - middle, middle - far */

struct neighbours {
  struct braid_io_thread io_thread;
  struct braid_connection connections[ENDS];
  bool ended[ENDS];
  struct braid_object *came[ENDS]; /* the last object that was sent to this end, with a reference */
};

static struct neighbours *neighbours_of(struct braid_connection *connection) {
  return braid_container(connection->io_thread, struct neighbours, io_thread);
}

static inline void on_object(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct neighbours *n = neighbours_of(connection);
  struct braid_message *message = braid_connection_message(connection, frame, body, 0);
  if (!message || message->object_count != 1) {
    if (message) braid_message_unref(message);
    braid_connection_fail(connection, "this is no object");
    return;
  }
  struct braid_object **came = &n->came[connection - n->connections];
  if (*came) braid_object_unref(*came);
  *came = message->objects[0];
  braid_object_ref(*came);
  braid_message_unref(message);
}

static inline void on_connection_end(struct braid_connection *connection) {
  struct neighbours *n = neighbours_of(connection);
  n->ended[connection - n->connections] = true;
}

static inline void neighbours_open(struct neighbours *n) {
  memset(n, 0, sizeof *n);
  n->io_thread.users = 1;
  check(braid_loop_open(&n->io_thread.loop) == 0);
  for (int i = 0; i < ENDS; i += 2) {
    int ends[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    for (int k = 0; k < 2; k++) {
      check(braid_connection_open(&n->connections[i + k], &n->io_thread, ends[k], &braid_marshal) == 0);
      n->connections[i + k].ended = on_connection_end;
      braid_connection_handle(&n->connections[i + k], BRAID_FRAME_JOB, on_object);
    }
  }
}

/* Until nothing more happens by itself. Tasks' waiters that come home have the state 1. */
static inline void neighbours_settle(struct neighbours *n) {
  for (int idle = 0; idle < 3; idle++) {
    struct braid_waiter *waiter;
    braid_loop_poll(&n->io_thread.loop, 0);
    while ((waiter = braid_loop_next(&n->io_thread.loop))) {
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
  if (n->connections[end].fd >= 0) braid_connection_close(&n->connections[end]);
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
  braid_loop_close(&n->io_thread.loop);
}

/* For a wait on this thread. */
static inline struct braid_wait_node *neighbours_arm(struct neighbours *n, struct braid_waiter *waiter) {
  braid_waiter_init(waiter, &n->io_thread.loop, BRAID_WAITER_TASK);
  braid_waiter_arm(waiter);
  return &waiter->node;
}

/* Sends a frame that may be none. */
static inline void neighbours_inject(struct neighbours *n, int from, struct braid_frame frame, const void *body,
                                     size_t size) {
  check(braid_connection_put(&n->connections[from], frame, body, size));
  braid_connection_flush(&n->connections[from]);
  neighbours_settle(n);
}

/* The same with an item that mentions the object: who keeps the item keeps a reference to what stands for it. */
static inline void neighbours_inject_item(struct neighbours *n, int from, struct braid_frame frame, const void *body,
                                          size_t size, struct braid_object *object) {
  struct braid_message *message = braid_message_new("", 0, &object, 1);
  struct braid_queue_cell cell = {.item = {(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE}};
  check(braid_connection_put_items(&n->connections[from], frame, body, size, &cell, 1));
  braid_connection_flush(&n->connections[from]);
  braid_message_unref(message);
  neighbours_settle(n);
}

/* Sends an object over a connection; what stands for it at the other end, which keeps it. */
static inline struct braid_object *neighbours_send(struct neighbours *n, int end, struct braid_object *object) {
  struct braid_message *message = braid_message_new("", 0, &object, 1);
  check(braid_connection_put_message(&n->connections[end], (struct braid_frame){.kind = BRAID_FRAME_JOB}, NULL, 0,
                                     message));
  braid_connection_flush(&n->connections[end]);
  braid_message_unref(message);
  neighbours_settle(n);
  return n->came[end ^ 1];
}

#endif
