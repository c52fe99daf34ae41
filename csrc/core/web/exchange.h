/* SPDX-License-Identifier: MIT
 * One HTTP request and its response. An exchange belongs to its connection. It begins with libmicrohttpd's callback for
 * the request line, and ends with its callback for completion. The server's thread only; nothing blocks. The structures
 * are here for serve.c, which changes the states of exchanges; other files use the functions. */
#ifndef BRAID_EXCHANGE_H
#define BRAID_EXCHANGE_H

#include <microhttpd.h>

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/web/serve.h"

enum braid_exchange_state {
  BRAID_EXCHANGE_ANNOUNCED,   /* the request line has come */
  BRAID_EXCHANGE_ARRIVING,    /* the headers have come; the body is coming */
  BRAID_EXCHANGE_OVERFLOWING, /* the body is too large; it is read and dropped */
  BRAID_EXCHANGE_DISPATCHED,  /* the owner has it */
  BRAID_EXCHANGE_ANSWERED,    /* the response is ready, and not yet given to libmicrohttpd */
  BRAID_EXCHANGE_SENDING,     /* libmicrohttpd has the response */
  BRAID_EXCHANGE_OVER         /* it has no connection any more; kept until its owner knows */
};

/* An accepted connection. */
struct braid_http_connection {
  struct braid_list link; /* in the server's `idle` or `receiving`, or in no list */
  int64_t since;          /* since when it waits for headers; or when its body was last checked */
  int64_t due;            /* until when more of its body must come */
  int fd;
  bool excess; /* over the limit: its first request is refused */
};

struct braid_exchange {
  struct braid_serve *serve;
  struct braid_exchange *next; /* in the free list */
  struct MHD_Connection *connection;
  struct braid_http_connection *client;
  struct MHD_Response *response; /* prepared, or ready */
  const char *method;
  struct braid_buffer target, body;
  struct braid_buffer out;            /* of a streamed response: what libmicrohttpd has not taken yet */
  size_t out_taken;                   /* how much of `out` it has taken */
  size_t max_body, arrived;           /* bytes of the request's body */
  size_t header_size;                 /* of the response */
  struct braid_list quiet;            /* while it is suspended: in the server's `fresh`, then `watched` */
  struct braid_list unanswered, told; /* in the server's lists of the same names */
  int64_t dispatched, suspended;      /* times */
  uint64_t uses;                      /* odd while it is in use; part of its number, so an old number finds nothing */
  unsigned index, status, news;
  enum braid_exchange_state state;
  bool parked;                                          /* suspended in libmicrohttpd */
  bool watched;                                         /* its socket is in the epoll set `departures` */
  bool owned;                                           /* the owner has it and is not done */
  bool takes_stream, body_ended;                        /* of the request's body */
  bool gives_stream, out_ended, out_failed, wants_room; /* of the response's body */
};

/* Its number, by which the owner knows it. */
int64_t braid_exchange_number(const struct braid_exchange *exchange);

/* The request's parts. The pointers are valid until the exchange is over. The target is as the client sent it, not
 * decoded. */
const char *braid_exchange_method(const struct braid_exchange *exchange);
const char *braid_exchange_target(const struct braid_exchange *exchange, size_t *size);
const char *braid_exchange_body(const struct braid_exchange *exchange, size_t *size);

/* Sets the limit of the body, and whether the owner takes it in pieces. Only in `admit`. */
void braid_exchange_admit(struct braid_exchange *exchange, size_t max_body, bool takes_stream);

/* Returns what has come of a streamed body since the last braid_exchange_forget_piece; it may be nothing. */
enum braid_body { BRAID_BODY_MORE, BRAID_BODY_ENDED, BRAID_BODY_TOO_LARGE };
enum braid_body braid_exchange_piece(const struct braid_exchange *exchange, const char **data, size_t *size);
void braid_exchange_forget_piece(struct braid_exchange *exchange);

/* A header, as the client sent it. */
struct braid_field {
  const char *name, *value;
  size_t name_size, value_size;
};

/* Writes up to `room` headers to `fields`. Returns how many there are. */
size_t braid_exchange_fields(const struct braid_exchange *exchange, struct braid_field *fields, size_t room);

/* Writes the client's address as text. False: `room` is too small; 64 is enough. */
bool braid_exchange_peer(const struct braid_exchange *exchange, char *text, size_t room);

/* Whether it has its response. */
bool braid_exchange_answered(const struct braid_exchange *exchange);

/* A response is prepared, gets headers (4 KiB at most), and is sent. A body is copied. A file is `size` bytes of the
 * descriptor `fd`, which is closed in any case. A stream is written after the response was sent. False: memory is out,
 * the exchange already has its response, or the header cannot be sent; then another response can be prepared. A
 * response that is sent outside of `dispatch` goes out in the next braid_serve_run. */
bool braid_exchange_prepare(struct braid_exchange *exchange, unsigned status, const void *body, size_t size);
bool braid_exchange_prepare_file(struct braid_exchange *exchange, unsigned status, int fd, uint64_t offset,
                                 uint64_t size);
bool braid_exchange_prepare_stream(struct braid_exchange *exchange, unsigned status);
bool braid_exchange_add_header(struct braid_exchange *exchange, const char *name, const char *value);
bool braid_exchange_send(struct braid_exchange *exchange);

/* Appends to a streamed response, which goes out in the next braid_serve_run. False when memory is out, or the stream
 * has ended. */
bool braid_exchange_write(struct braid_exchange *exchange, const void *data, size_t size);

/* Whether a streamed response has room for more. If not, BRAID_NEWS_ROOM will tell when it has. */
bool braid_exchange_has_room(struct braid_exchange *exchange);

/* Ends a streamed response. If it `failed`, the connection is closed early, so that the client knows. */
void braid_exchange_end(struct braid_exchange *exchange, bool failed);

/* For serve.c: suspends the connection in libmicrohttpd; resumes it. */
void braid_exchange_park(struct braid_exchange *exchange);
void braid_exchange_unpark(struct braid_exchange *exchange);

/* For serve.c: gives a ready response to libmicrohttpd. */
enum MHD_Result braid_exchange_queue(struct braid_exchange *exchange);

/* For serve.c: adds news for the owner. */
void braid_exchange_tell(struct braid_exchange *exchange, unsigned news);

/* For serve.c: drops a prepared response. */
void braid_exchange_discard(struct braid_exchange *exchange);

struct braid_serve {
  struct MHD_Daemon *daemon;
  int fd, departures;
  bool draining, encrypted;
  struct braid_serve_options options;
  struct braid_exchange **slots;
  unsigned slot_count, slot_room;
  struct braid_exchange *free;
  struct braid_list fresh, watched;      /* suspended exchanges, the oldest first */
  struct braid_list unanswered;          /* with the owner, the oldest first */
  struct braid_list told;                /* with news */
  struct braid_list idle;                /* connections that wait for a request's headers, the oldest first */
  struct braid_list receiving;           /* connections that wait for the rest of a body */
  const struct braid_serve_owner *owner; /* in braid_serve_run, else NULL */
  struct braid_serve_counts counts;
};

#endif
