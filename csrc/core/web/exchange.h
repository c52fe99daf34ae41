/* SPDX-License-Identifier: MIT
 * An exchange is a request and its answer. The connection's protocol makes it when the request's head has come, and
 * ends it when the answer is sent, or the client has gone. Its *owner* is told of it through the loop's list of ready
 * waiters; the owner may keep it longer than the connection does. It is given back when both are done with it. It has
 * a number, which changes then; so whoever comes too late finds nothing. The server's thread only; nothing blocks. */
#ifndef BRAID_EXCHANGE_H
#define BRAID_EXCHANGE_H

#include "core/base/buffer.h"
#include "core/loop/waiter.h"
#include "core/web/head.h"

struct braid_web_server;
struct braid_web_connection;
struct braid_transport;

/* What the owner is told; flags. */
enum braid_news {
  BRAID_NEWS_ASKED = 1,   /* a body is announced: braid_exchange_admit says what to do with it */
  BRAID_NEWS_ARRIVED = 2, /* the request may be handled */
  BRAID_NEWS_REFUSED = 4, /* the request cannot be: answer with the status `refusal` */
  BRAID_NEWS_GONE = 8,    /* the client has gone */
  BRAID_NEWS_LATE = 16    /* there was no answer within request_timeout */
};

enum braid_answer_kind { BRAID_ANSWER_BODY, BRAID_ANSWER_FILE, BRAID_ANSWER_STREAM };

/* An answer. What it points to is not used after the call. */
struct braid_answer {
  enum braid_answer_kind kind;
  unsigned status;
  const char *fields; /* field lines, from braid_answer_add */
  size_t fields_size;
  const void *body;
  uint64_t size;   /* of the body, or of the part of the file */
  uint64_t offset; /* in the file */
  int file;        /* a descriptor, which is closed in any case */
  bool close;      /* the connection ends with this answer */
};

struct braid_exchange {
  struct braid_waiter waiter; /* kind BRAID_WAITER_REQUEST: tells the owner */
  struct braid_web_server *server;
  struct braid_web_connection *connection;  /* NULL: it is over */
  struct braid_exchange *next;              /* in the free list */
  void *owner;                              /* the owner's own; NULL: it has not begun, or is done */
  void *stream;                             /* the protocol's own */
  struct braid_head head;                   /* places in `text`, and lengths */
  const char *text;                         /* the head's bytes, valid while it has a connection */
  struct braid_buffer path;                 /* the normal form of the path, if that is not in the head */
  struct braid_buffer body;                 /* of the request: all of it, or what the owner has not taken yet */
  struct braid_wait_queue readers, writers; /* tasks that wait for a piece of the body, or for room in the stream */
  struct braid_list unanswered;             /* in the server's list of the same name */
  uint64_t number;
  uint64_t arrived, max_body; /* bytes of the body */
  int64_t dispatched;
  unsigned index, news, refusal, status; /* refusal: also of a streamed body that cannot go on: 400 or 413 */
  bool queued;                           /* in the loop's ready list */
  bool joined;                           /* its waiter waits for the end of the owner's task, or has */
  bool held;                             /* the owner has it */
  bool escaped;                          /* the path has escapes of '/' or NUL */
  bool streamed, body_ended, asks_leave; /* of the body. asks_leave: 100 Continue is due */
  bool large_form;                       /* it is streamed for this reason alone: the owner has not asked for it */
  bool answered, gives_stream, stream_ended, failed; /* of the answer */
  bool left, late;
  bool placed, kept; /* the owner's own */
};

/* ---- for the owner -------------------------------------------------------------------------------------------- */

/* The method, and the path in its normal form. */
const char *braid_exchange_method(const struct braid_exchange *exchange, size_t *size);
const char *braid_exchange_path(const struct braid_exchange *exchange, size_t *size);

/* Whether its connection has not ended. */
static inline bool braid_exchange_lives(const struct braid_exchange *exchange) { return exchange->connection != NULL; }

/* After BRAID_NEWS_ASKED: sets the limit of the body, and whether the owner takes it in pieces. */
void braid_exchange_admit(struct braid_exchange *exchange, uint64_t max_body, bool streamed);

/* Whether the body is a form with files (multipart/form-data) that may be large, with this limit. It can be streamed
 * although the owner says nothing: a form has a reader that takes pieces. Not with a limit of time for answers, which
 * would count the time of the client, too. */
bool braid_exchange_has_large_form(const struct braid_exchange *exchange, uint64_t max_body);

/* Whether the rest of a large form is due before an answer with this status. A client that still sends may see only
 * that it cannot; this is good enough for a refusal. */
bool braid_exchange_owes_rest(const struct braid_exchange *exchange, unsigned status);

/* What has come of a streamed body since the last braid_exchange_forget; it may be nothing. If nothing is there and the
 * client waits for leave to send it, it gets that now. */
void braid_exchange_want(struct braid_exchange *exchange);
void braid_exchange_forget(struct braid_exchange *exchange);

/* Answers. False: it is answered already, or over, or memory is out. */
bool braid_exchange_respond(struct braid_exchange *exchange, const struct braid_answer *answer);

/* Appends to a streamed answer. False: it has ended, or memory is out. */
bool braid_exchange_write(struct braid_exchange *exchange, const void *data, size_t size);

/* Whether a streamed answer has room for more. If not, its `writers` are woken when it has. */
bool braid_exchange_has_room(const struct braid_exchange *exchange);

/* Ends a streamed answer. If it has `failed`, the client sees that something is missing. */
void braid_exchange_end(struct braid_exchange *exchange, bool failed);

/* The owner has taken the waiter out of the ready list. Returns what has happened since the last time. */
unsigned braid_exchange_news(struct braid_exchange *exchange);

/* Wakes the tasks that wait for a piece of the body, or for room. After BRAID_NEWS_GONE the owner first ends its own.
 */
void braid_exchange_wake_all(struct braid_exchange *exchange);

/* The owner is done with it. */
void braid_exchange_leave(struct braid_exchange *exchange);

/* Gives the connection up: sends `head`, and moves the transport to *transport. What the client has sent since the
 * request is appended to `rest`. From here on the transport is the caller's, who closes its descriptor; the server does
 * not know the connection any more, and the exchange is over. False: it is answered or over, its protocol cannot, or
 * `head` could not be sent. The server counts
 * the connection until braid_web_server_release. */
bool braid_exchange_upgrade(struct braid_exchange *exchange, const void *head, size_t size,
                            struct braid_transport *transport, struct braid_buffer *rest);

/* ---- for protocols -------------------------------------------------------------------------------------------- */

/* A new exchange of the connection; NULL: memory is out. */
struct braid_exchange *braid_exchange_new(struct braid_web_connection *connection);

/* Sets the path's normal form from the head. Returns 0, or the status of the refusal. */
unsigned braid_exchange_set_path(struct braid_exchange *exchange);

/* Whether the owner decides about a body that is announced. */
bool braid_exchange_asks(const struct braid_exchange *exchange);

/* Tells the owner. */
void braid_exchange_tell(struct braid_exchange *exchange, unsigned news);

/* The request may be handled, or has to be refused with this status. */
void braid_exchange_dispatch(struct braid_exchange *exchange);
void braid_exchange_refuse(struct braid_exchange *exchange, unsigned status);

/* Wakes the tasks in one of its queues. */
void braid_exchange_wake(struct braid_wait_queue *queue);

/* The connection is done with it. `gone`: before the answer was complete, because the client has gone. */
void braid_exchange_over(struct braid_exchange *exchange, bool gone);

#endif
