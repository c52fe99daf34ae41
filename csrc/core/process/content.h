/* SPDX-License-Identifier: MIT
 * The contents of frames: bytes, messages with the objects that they refer to, items. connection.h declares the
 * functions that read them. */
#ifndef BRAID_CONTENT_H
#define BRAID_CONTENT_H

#include "core/process/connection.h"

/* The parts of a frame's body, in order. */
struct braid_content {
  const void *body;
  size_t size;
  struct braid_message *message;        /* NULL: none */
  const struct braid_queue_cell *cells; /* items */
  size_t count;
};

/* Puts a frame. In front of it, it puts frames with what the objects need at the other end. False when memory is out;
 * then half a frame may be in the outbox. Under the connection's mutex; any thread; does not block. */
bool braid_content_put(struct braid_connection *connection, struct braid_frame *frame,
                       const struct braid_content *content);

/* Whether the message in these bytes can be read on any thread: it mentions no shared objects. False also if it is
 * malformed. */
bool braid_content_is_light(const char *bytes, size_t size);
/* The same for all items that the bytes consist of. */
bool braid_content_items_are_light(const char *bytes, size_t size);

/* braid_content_begin: the connection opens, and both ends know nothing of each other; false when memory is out.
 * braid_content_end: it closes, and the marshal ends. braid_content_forget: then, when no thread puts frames any more,
 * drops the known bytecode. The I/O thread; nothing blocks. */
bool braid_content_begin(struct braid_connection *connection);
void braid_content_end(struct braid_connection *connection);
void braid_content_forget(struct braid_connection *connection);

#endif
