/* SPDX-License-Identifier: MIT
 * What frames hold: bytes, messages with the objects in them, items. What reads it is declared in connection.h. */
#ifndef BRAID_CONTENT_H
#define BRAID_CONTENT_H

#include "core/process/connection.h"

/* What a frame is made of, in order. */
struct braid_content {
  const void *body;
  size_t size;
  struct braid_message *message;        /* NULL: none */
  const struct braid_queue_cell *cells; /* items */
  size_t count;
};

/* Puts a frame, and in front of it, in frames of their own, what its objects need at the other end. Under the
 * connection's mutex; any thread. False when memory is out: half a frame may stand in the outbox. */
bool braid_content_put(struct braid_connection *connection, struct braid_frame *frame,
                       const struct braid_content *content);

/* A connection is opened: both ends know nothing of each other. False when memory is out. It is closed: objects end,
 * and then, when nobody puts any more, what was known goes. The I/O thread. */
bool braid_content_begin(struct braid_connection *connection);
void braid_content_end(struct braid_connection *connection);
void braid_content_forget(struct braid_connection *connection);

#endif
