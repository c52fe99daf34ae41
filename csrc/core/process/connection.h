/* SPDX-License-Identifier: MIT
 * One end of the connection between a process and its worker. Frames are put from any thread and are sent in the
 * order in which they were put; what comes in is handled on the I/O thread, in order.
 *
 * How the remote objects plug in:
 * - their frames: braid_connection_handle(connection, BRAID_FRAME_OBJECTS + n, handler) when a connection is made;
 *   handlers run on the I/O thread, without any guard held, and may put frames on this and other connections.
 * - objects in messages: a marshal, one for the process (braid_connection_use_marshal). Without one shared objects
 *   cannot be sent. Bytecode (braid_bytecode) is the connection's own business: it travels once and is then known by
 *   its number.
 * - what they know for each connection: connection->objects is theirs; braid_marshal.end frees it when the connection
 *   is closed.
 * - waits on real objects for the other end: errands of the I/O thread (io_thread.h) whose waiters stand in the wait
 *   queues.
 *
 * A process that was forked from one of both ends (braid_loop_is_fork) writes nothing. */
#ifndef BRAID_CONNECTION_H
#define BRAID_CONNECTION_H

#include "core/process/io_thread.h"
#include "core/base/bytecode.h"
#include "core/process/inbox.h"
#include "core/process/outbox.h"
#include "core/sync/queue.h"

struct braid_connection;

/* How shared objects cross. */
struct braid_marshal {
  /* NULL: the object may cross; else a sentence that says why not. Any thread. */
  const char *(*refuse)(const struct braid_object *object);
  /* A frame that mentions it is about to be put: segments that the other end needs for it are put first. Under the
   * connection's mutex; any thread. False: memory is out. */
  bool (*prepare)(struct braid_connection *connection, struct braid_object *object);
  /* What stands for it over there; keeps what it needs alive. Under the connection's mutex, in the order of the frames;
   * any thread. False: memory is out. */
  bool (*write)(struct braid_connection *connection, struct braid_object *object, struct braid_wire_object *wire);
  /* The object here, with a reference for the caller. NULL: errno tells; EBADMSG: what came is not sound. The I/O
   * thread. */
  struct braid_object *(*read)(struct braid_connection *connection, const struct braid_wire_object *wire);
  /* A connection is opened, is closed: where connection->objects is made and freed, and handlers are set. The I/O
   * thread, or before anybody else knows the connection. */
  bool (*begin)(struct braid_connection *connection);
  void (*end)(struct braid_connection *connection);
};

typedef void braid_connection_handler(struct braid_connection *connection, const struct braid_frame *frame,
                                      const char *body);

enum { BRAID_CONNECTION_CODES = 256 };

struct braid_connection {
  struct braid_io_thread *io_thread;
  int fd;
  void *owner;   /* of who opened it */
  void *objects; /* of the marshal */

  pthread_mutex_t mutex; /* guards from here to sent_codes */
  struct braid_outbox out;
  bool broken; /* nothing more can be sent */
  bool full;   /* the socket took no more */
  struct braid_bytecode *sent_codes[BRAID_CONNECTION_CODES];

  atomic_uint holders; /* threads that are about to flush it: it is not closed meanwhile */
  atomic_ullong signs; /* of life of the other end: bytes that it sent, and for which it made room. Any thread */

  /* The I/O thread only. */
  struct braid_errand nudge; /* asks the I/O thread to write the rest */
  struct braid_watch watch;
  struct braid_inbox in;
  struct braid_alarm retry; /* the system is short of something: it is tried again then */
  struct braid_bytecode *known_codes[BRAID_CONNECTION_CODES];
  const char *fault; /* why we have ended it; NULL: we have not */
  int shortage;      /* where that was for want of something: the system's number; else 0 */
  void (*ended)(
      struct braid_connection *connection); /* the other end is gone, or the connection has failed; called once */
  braid_connection_handler *handlers[BRAID_FRAME_KINDS];
};

/* Before the first connection is opened. */
void braid_connection_use_marshal(const struct braid_marshal *marshal);

/* NULL, or why the object may not cross. Any thread. */
const char *braid_connection_refuse_object(const struct braid_object *object);

/* The same for all of a message; *which is the object then. */
const char *braid_connection_refuse(const struct braid_message *message, const struct braid_object **which);

/* Takes over the socket, which does not block, when it succeeds: 0 or an error number. The I/O thread. */
int braid_connection_open(struct braid_connection *connection, struct braid_io_thread *io_thread, int fd);

/* What has come is no protocol, or cannot be taken in: nothing more is read or sent, and the other end learns of it.
 * The first reason stays. In a handler; `ended` is called after it. */
void braid_connection_fail(struct braid_connection *connection, const char *why);

/* The I/O thread; not in a handler, but `ended` may. What is not sent is lost. */
void braid_connection_close(struct braid_connection *connection);

/* The I/O thread, or before the connection is opened. */
void braid_connection_handle(struct braid_connection *connection, unsigned kind, braid_connection_handler *handler);

/* Puts a frame with these bytes as its body. False when memory is out; a broken connection swallows it. Any thread;
 * does not block. It is sent by the next flush. */
bool braid_connection_put(struct braid_connection *connection, struct braid_frame frame, const void *body, size_t size);

/* The same with a message behind the bytes. The message stays the caller's. Nothing in it is refused (see
 * braid_connection_refuse). */
bool braid_connection_put_message(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_message *message);

/* The same with the segment's descriptor. In a marshal's `prepare` only. */
bool braid_connection_put_segment(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_shm *segment);

/* The same with items behind the bytes; they stay the caller's. */
bool braid_connection_put_items(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                size_t size, const struct braid_queue_cell *cells, size_t count);

/* Sends what the socket takes; the I/O thread sends the rest. Any thread; does not block. */
void braid_connection_flush(struct braid_connection *connection);

/* Puts a frame with this message (NULL: none) as its body, and flushes. False when memory is out. */
bool braid_connection_send(struct braid_connection *connection, struct braid_frame frame,
                           struct braid_message *message);

/* For who may flush only as long as a guard is held, which the marshal's end enters, too: takes hold of the connection
 * inside the guard; flushes it outside, and lets it go. Any thread; does not block. */
static inline void braid_connection_hold(struct braid_connection *connection) {
  atomic_fetch_add(&connection->holders, 1);
}
void braid_connection_flush_held(struct braid_connection *connection);

/* Until everything is sent or the connection is broken. Blocks; not the I/O thread. */
void braid_connection_drain(struct braid_connection *connection);

/* In a handler: the message of the frame, which begins behind `skip` bytes of the body; the caller's. NULL: errno
 * tells: EBADMSG: the frame is not sound; else what the system could not give us, and the connection is as it was. */
struct braid_message *braid_connection_message(struct braid_connection *connection, const struct braid_frame *frame,
                                               const char *body, size_t skip);

/* In a handler: reads so many items, which are the caller's then and must be all that stands behind `skip` bytes of the
 * body. One that the system has no room for is lost: it is BRAID_ITEM_NONE, and its bits are the error number. False:
 * the connection has failed, and nothing is the caller's. */
bool braid_connection_items(struct braid_connection *connection, const struct braid_frame *frame, const char *body,
                            size_t skip, struct braid_queue_cell *cells, size_t count);

/* In a handler: the descriptor that came with the frame, the caller's; -1: there is none, or it was lost on the way. */
int braid_connection_descriptor(struct braid_connection *connection);

/* Reads and handles all that has come, without waiting for more: for when the other end has died. The I/O thread.
 */
void braid_connection_read_rest(struct braid_connection *connection);

#endif
