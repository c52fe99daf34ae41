/* SPDX-License-Identifier: MIT
 * One end of the connection between a process and its worker. Frames are put from any thread and are sent in the
 * order in which they were put; what comes in is handled on the broker's thread, in order.
 *
 * How the remote objects plug in:
 * - their frames: braid_link_handle(link, BRAID_FRAME_OBJECTS + n, handler) when a link is made; handlers run on the
 *   broker's thread, without any guard held, and may put frames on this and other links.
 * - objects in messages: a passport, one for the process (braid_link_use_passport). Without one shared objects cannot
 *   be sent. Bytecode (braid_code) is the link's own business: it travels once and is then known by its number.
 * - what they know for each link: link->objects is theirs; braid_passport.end frees it when the link is closed.
 * - waits on real objects for the other end: errands of the broker (broker.h) whose waiters stand in the lines.
 *
 * A process that was forked from one of both ends (braid_loop_is_fork) writes nothing. */
#ifndef BRAID_CONNECTION_H
#define BRAID_CONNECTION_H

#include "core/process/io_thread.h"
#include "core/base/buffer.h"
#include "core/base/bytecode.h"
#include "core/process/frame.h"
#include "core/sync/queue.h"

struct braid_link;

/* How shared objects cross. */
struct braid_passport {
  /* NULL: the object may cross; else a sentence that says why not. Any thread. */
  const char *(*refuse)(const struct braid_object *object);
  /* A frame that mentions it is about to be put: segments that the other end needs for it are put first. Under the
   * link's mutex; any thread. False: memory is out. */
  bool (*prepare)(struct braid_link *link, struct braid_object *object);
  /* What stands for it over there; keeps what it needs alive. Under the link's mutex, in the order of the frames; any
   * thread. False: memory is out. */
  bool (*write)(struct braid_link *link, struct braid_object *object, struct braid_wire_object *wire);
  /* The object here, with a reference for the caller. NULL: errno tells; EBADMSG: what came is not sound. The broker's
   * thread. */
  struct braid_object *(*read)(struct braid_link *link, const struct braid_wire_object *wire);
  /* A link is opened, is closed: where link->objects is made and freed, and handlers are set. The broker's thread, or
   * before anybody else knows the link. */
  bool (*begin)(struct braid_link *link);
  void (*end)(struct braid_link *link);
};

typedef void braid_link_handler(struct braid_link *link, const struct braid_frame *frame, const char *body);

enum { BRAID_LINK_CODES = 256, BRAID_LINK_DESCRIPTORS = 4 };

struct braid_segment;

struct braid_link {
  struct braid_broker *broker;
  int fd;
  void *owner;   /* of who opened it */
  void *objects; /* of the passport */

  pthread_mutex_t mutex; /* guards from here to sent_codes */
  struct braid_list out; /* pieces that are not sent */
  size_t out_size;
  bool broken; /* nothing more can be sent */
  bool full;   /* the socket took no more */
  struct braid_code *sent_codes[BRAID_LINK_CODES];

  atomic_uint holders; /* threads that are about to flush it: it is not closed meanwhile */
  atomic_ullong signs; /* of life of the other end: bytes that it sent, and for which it made room. Any thread */

  /* The broker's thread only. */
  struct braid_errand nudge; /* asks the broker to write the rest */
  struct braid_watch watch;
  struct braid_buffer in;
  int descriptors[BRAID_LINK_DESCRIPTORS]; /* that have come, of frames that are not handled; -1: one that was lost */
  unsigned descriptor_count, claimable;    /* claimable: how many are of the frame that is being handled */
  struct braid_alarm retry;                /* the system is short of something: it is tried again then */
  struct braid_code *known_codes[BRAID_LINK_CODES];
  const char *fault;                      /* why we have ended it; NULL: we have not */
  int shortage;                           /* where that was for want of something: the system's number; else 0 */
  void (*ended)(struct braid_link *link); /* the other end is gone, or the link has failed; called once */
  braid_link_handler *handlers[BRAID_FRAME_KINDS];
};

/* Before the first link is opened. */
void braid_link_use_passport(const struct braid_passport *passport);

/* NULL, or why the object may not cross. Any thread. */
const char *braid_link_refuse_object(const struct braid_object *object);

/* The same for all of a message; *which is the object then. */
const char *braid_link_refuse(const struct braid_message *message, const struct braid_object **which);

/* Takes over the socket, which does not block, when it succeeds: 0 or an error number. The broker's thread. */
int braid_link_open(struct braid_link *link, struct braid_broker *broker, int fd);

/* What has come is no protocol, or cannot be taken in: nothing more is read or sent, and the other end learns of it.
 * The first reason stays. In a handler; `ended` is called after it. */
void braid_link_fail(struct braid_link *link, const char *why);

/* The broker's thread; not in a handler, but `ended` may. What is not sent is lost. */
void braid_link_close(struct braid_link *link);

/* The broker's thread, or before the link is opened. */
void braid_link_handle(struct braid_link *link, unsigned kind, braid_link_handler *handler);

/* Puts a frame with these bytes as its body. False when memory is out; a broken link swallows it. Any thread; does not
 * block. It is sent by the next flush. */
bool braid_link_put(struct braid_link *link, struct braid_frame frame, const void *body, size_t size);

/* The same with a message behind the bytes. The message stays the caller's. Nothing in it is refused (see
 * braid_link_refuse). */
bool braid_link_put_message(struct braid_link *link, struct braid_frame frame, const void *body, size_t size,
                            struct braid_message *message);

/* The same with the segment's descriptor. In a passport's `prepare` only. */
bool braid_link_put_segment(struct braid_link *link, struct braid_frame frame, const void *body, size_t size,
                            struct braid_segment *segment);

/* The same with items behind the bytes; they stay the caller's. */
bool braid_link_put_items(struct braid_link *link, struct braid_frame frame, const void *body, size_t size,
                          const struct braid_queue_cell *cells, size_t count);

/* Sends what the socket takes; the broker sends the rest. Any thread; does not block. */
void braid_link_flush(struct braid_link *link);

/* For who may flush only as long as a guard is held, which the passport's end enters, too: takes hold of the link
 * inside the guard; flushes it outside, and lets it go. Any thread; does not block. */
void braid_link_hold(struct braid_link *link);
void braid_link_flush_held(struct braid_link *link);

/* Until everything is sent or the link is broken. Blocks; not the broker's thread. */
void braid_link_drain(struct braid_link *link);

/* In a handler: the message of the frame, which begins behind `skip` bytes of the body; the caller's. NULL: errno
 * tells: EBADMSG: the frame is not sound; else what the system could not give us, and the link is as it was. */
struct braid_message *braid_link_message(struct braid_link *link, const struct braid_frame *frame, const char *body,
                                         size_t skip);

/* In a handler: reads so many items, which are the caller's then and must be all that stands behind `skip` bytes of the
 * body. One that the system has no room for is lost: it is BRAID_ITEM_NONE, and its bits are the error number. False:
 * the link has failed, and nothing is the caller's. */
bool braid_link_items(struct braid_link *link, const struct braid_frame *frame, const char *body, size_t skip,
                      struct braid_queue_cell *cells, size_t count);

/* In a handler: the descriptor that came with the frame, the caller's; -1: there is none, or it was lost on the way. */
int braid_link_descriptor(struct braid_link *link);

/* Reads and handles all that has come, without waiting for more: for when the other end has died. The broker's thread.
 */
void braid_link_read_rest(struct braid_link *link);

#endif
