/* SPDX-License-Identifier: MIT
 * One end of the connection between a process and its worker. Any thread puts frames; they are sent in that order. The
 * I/O thread handles the frames that come, in order.
 *
 * Shared objects use it as follows:
 * - Frames: braid_connection_handle(connection, BRAID_FRAME_OBJECTS + n, handler) when a connection opens. Handlers run
 *   on the I/O thread, without any guard, and may put frames on this and other connections. Those of *light* frames
 *   (see braid_connection_look) may run on other threads, too.
 * - Objects in messages: the connection has a marshal. Without one shared objects cannot be sent. Bytecode
 *   (braid_bytecode) needs no marshal: the connection sends it once, later only its place.
 * - State: connection->objects belongs to the marshal; braid_marshal.end frees it when the connection closes.
 * - Waits of the other end on objects that live here: errands of the I/O thread (io_thread.h), whose waiters join the
 *   wait queues.
 *
 * A process that was forked from one of both ends (braid_loop_is_fork) sends nothing. */
#ifndef BRAID_CONNECTION_H
#define BRAID_CONNECTION_H

#include "core/process/io_thread.h"
#include "core/base/bytecode.h"
#include "core/process/inbox.h"
#include "core/process/outbox.h"
#include "core/sync/queue.h"

struct braid_connection;

/* How shared objects travel. */
struct braid_marshal {
  /* A frame that refers to the object is about to be put. Puts the segments that the other end needs for it. False when
   * memory is out. Under the connection's mutex; any thread. */
  bool (*prepare)(struct braid_connection *connection, struct braid_object *object);
  /* Fills in what is sent for the object, and keeps what it needs alive. False when memory is out. Under the
   * connection's mutex, in the order of the frames; any thread. */
  bool (*write)(struct braid_connection *connection, struct braid_object *object, struct braid_wire_object *wire);
  /* Returns the object here, with a new reference. NULL: errno says why; EBADMSG: it is malformed. The I/O thread. */
  struct braid_object *(*read)(struct braid_connection *connection, const struct braid_wire_object *wire);
  /* The connection opens: makes connection->objects and sets handlers. It closes: frees them. The I/O thread, or before
   * others know the connection. */
  bool (*begin)(struct braid_connection *connection);
  void (*end)(struct braid_connection *connection);
};

typedef void braid_connection_handler(struct braid_connection *connection, const struct braid_frame *frame,
                                      const char *body);

enum { BRAID_CONNECTION_CODES = 256 };

struct braid_connection {
  struct braid_io_thread *io_thread;
  int fd;
  void *owner;                         /* for the code that opened it */
  const struct braid_marshal *marshal; /* NULL: no shared objects are sent */
  void *objects;                       /* for the marshal */

  pthread_mutex_t mutex; /* protects the fields up to sent_codes */
  struct braid_outbox out;
  char *last_put;                 /* the head of the last frame, if that is a PUT and not yet sent; else NULL */
  bool broken;                    /* nothing more can be sent */
  bool full;                      /* the socket, or the pipe, takes no more now */
  struct braid_pipe_end out_pipe; /* NULL: what is sent goes through the socket */
  struct braid_bytecode *sent_codes[BRAID_CONNECTION_CODES];

  atomic_uint holders; /* threads that are about to flush it: closing it waits for them */
  atomic_ullong signs; /* signs of life of the other end: bytes that came from it, and bytes that a full socket took
                          after it had read; any thread */

  /* Whoever reads. That is the I/O thread; or, with this mutex, the thread that holds it. */
  pthread_mutex_t *reading; /* the owner's; it outlives the connection. NULL: only the I/O thread reads */
  struct braid_inbox in;
  struct braid_pipe_end in_pipe; /* NULL: what comes comes through the socket */
  bool io_looks;                 /* the I/O thread looks before it sleeps */
  atomic_bool looked_at;         /* so does another thread; it alone reads this without the mutex */
  struct braid_bytecode *known_codes[BRAID_CONNECTION_CODES];
  const char *fault; /* why this end has ended it; NULL: it has not */
  bool over;         /* nothing more is read */

  /* The I/O thread only. */
  struct braid_errand nudge;  /* makes the I/O thread send the rest */
  struct braid_errand drawer; /* makes the I/O thread read */
  struct braid_lookout lookout;
  struct braid_watch watch;
  struct braid_alarm retry;                           /* sends again after a shortage of memory or descriptors */
  int shortage;                                       /* the error number, if it was ended for want of memory; else 0 */
  void (*ended)(struct braid_connection *connection); /* called once, when the connection has ended */
  braid_connection_handler *handlers[BRAID_FRAME_KINDS];
};

/* Opens a connection on a non-blocking socket. Takes over the socket when it succeeds. Returns 0 or an error number.
 * `marshal` may be NULL; then no message may refer to shared objects. The I/O thread; does not block. */
int braid_connection_open(struct braid_connection *connection, struct braid_io_thread *io_thread, int fd,
                          const struct braid_marshal *marshal);

/* From now on everything goes through these pipes, and the socket only wakes the other end. The pipes must stay mapped
 * until the connection is closed. Called right after it was opened. Does not block. */
void braid_connection_use_pipes(struct braid_connection *connection, struct braid_pipe *out, struct braid_pipe *in);

/* Other threads may look for frames, too. The mutex must outlive the connection. Called before it is opened. */
static inline void braid_connection_let_look(struct braid_connection *connection, pthread_mutex_t *reading) {
  connection->reading = reading;
}

/* A thread that waits for a light frame may look for it, instead of the I/O thread (see struct braid_lookout). From the
 * first look to the last one the other process need not call. Light are jobs, replies and items that mention no shared
 * objects, and places. True: it has handled some. It leaves other frames, and what is malformed, to the I/O thread. Any
 * thread, also while the connection is closed, but not after its mutex has ended; does not block. */
bool braid_connection_look(struct braid_connection *connection, enum braid_look how);

/* The input is malformed or cannot be read. Nothing more is read or sent, and the other end sees the end of the
 * connection. The first reason counts. Only in a handler; `ended` is called after it. Does not block. */
void braid_connection_fail(struct braid_connection *connection, const char *why);

/* Closes the connection; what is not sent is lost. Not in a handler, but `ended` may call it. The I/O thread; blocks
 * only while other threads are in a flush. */
void braid_connection_close(struct braid_connection *connection);

/* Sets the handler for a kind of frames. The I/O thread, or before the connection is opened. Does not block. */
void braid_connection_handle(struct braid_connection *connection, unsigned kind, braid_connection_handler *handler);

/* Puts a frame with these bytes as its body; the next flush sends it. False when memory is out. A broken connection
 * drops it and returns true. Any thread; does not block. */
bool braid_connection_put(struct braid_connection *connection, struct braid_frame frame, const void *body, size_t size);

/* The same, with a message after the bytes. The message stays the caller's. The caller has checked it with
 * braid_marshal_refuse_message. */
bool braid_connection_put_message(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_message *message);

/* The same, with the segment's descriptor. Only in a marshal's `prepare`. */
bool braid_connection_put_segment(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_shm *segment);

/* The same, with items after the bytes. The items stay the caller's. */
bool braid_connection_put_items(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                size_t size, const struct braid_queue_cell *cells, size_t count);

/* Sends what the socket takes now; the I/O thread sends the rest. Any thread; does not block. */
void braid_connection_flush(struct braid_connection *connection);

/* Puts a frame with this message (NULL: none) as its body, and flushes. False when memory is out. Any thread; does not
 * block. */
bool braid_connection_send(struct braid_connection *connection, struct braid_frame frame,
                           struct braid_message *message);

/* The same with these bytes as its body. */
bool braid_connection_send_body(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                size_t size);

/* For a caller that knows the connection only under a guard, which the marshal's end enters, too. Call
 * braid_connection_hold under the guard, and braid_connection_flush_held after it: that flushes, and lets the
 * connection close. Any thread; does not block. */
static inline void braid_connection_hold(struct braid_connection *connection) {
  atomic_fetch_add(&connection->holders, 1);
}
void braid_connection_flush_held(struct braid_connection *connection);

/* Blocks until everything is sent or the connection is broken. Any thread but the I/O thread. */
void braid_connection_drain(struct braid_connection *connection);

/* Returns the frame's message, which begins after `skip` bytes of the body; the caller owns it. NULL: errno says why.
 * EBADMSG: the frame is malformed. Other errors: the system had no memory or descriptor, and the connection goes on.
 * Only in a handler; does not block. */
struct braid_message *braid_connection_message(struct braid_connection *connection, const struct braid_frame *frame,
                                               const char *body, size_t skip);

/* Reads `count` items, which must be all that follows `skip` bytes of the body. The caller owns them. An item for which
 * the system had no memory or descriptor is lost: it is BRAID_ITEM_NONE, with the error number in its bits. False: the
 * connection has failed, and the caller owns nothing. Only in a handler; does not block. */
bool braid_connection_items(struct braid_connection *connection, const struct braid_frame *frame, const char *body,
                            size_t skip, struct braid_queue_cell *cells, size_t count);

/* Returns the descriptor that came with the frame; the caller owns it. -1: there is none, or it was lost. Only in a
 * handler; does not block. */
int braid_connection_descriptor(struct braid_connection *connection);

/* Reads and handles all data that is there, for use after the other end has died. The I/O thread; does not block. */
void braid_connection_read_rest(struct braid_connection *connection);

#endif
