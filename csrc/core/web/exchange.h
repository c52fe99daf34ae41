/* SPDX-License-Identifier: MIT
 * One request and its answer. It belongs to the connection it arrived on, from the callback of libmicrohttpd that
 * announces its request line to the one that tells its end. All functions: the server's thread only; none blocks. The
 * structures are here for serve.c, which moves exchanges through their states; others use the functions. */
#ifndef BRAID_EXCHANGE_H
#define BRAID_EXCHANGE_H

#include <microhttpd.h>

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/web/serve.h"

enum braid_exchange_state {
  BRAID_EXCHANGE_ANNOUNCED,   /* the request line is there */
  BRAID_EXCHANGE_ARRIVING,    /* the headers are there, the body is on its way */
  BRAID_EXCHANGE_OVERFLOWING, /* the body is larger than allowed; it is read and thrown away */
  BRAID_EXCHANGE_DISPATCHED,  /* in the owner's hands */
  BRAID_EXCHANGE_ANSWERED,    /* the answer is ready and not yet with libmicrohttpd */
  BRAID_EXCHANGE_SENDING,     /* libmicrohttpd has the answer */
  BRAID_EXCHANGE_OVER         /* without a connection; kept until its owner has heard so */
};

/* A connection that has been accepted. */
struct braid_http_connection {
  struct braid_list link; /* in the server's `idle` or `receiving`, or in none */
  int64_t since;          /* it waits for headers from then on; or when its body was last looked at */
  int64_t due;            /* when its body has been too slow */
  int fd;
  bool excess; /* one too many: refused with its first request */
};

struct braid_exchange {
  struct braid_serve *serve;
  struct braid_exchange *next; /* in the free list */
  struct MHD_Connection *connection;
  struct braid_http_connection *client;
  struct MHD_Response *response; /* prepared or ready */
  const char *method;
  struct braid_buffer target, body;
  struct braid_buffer out;            /* of a streamed answer: what libmicrohttpd has not taken yet */
  size_t out_taken;                   /* of `out` */
  size_t max_body, arrived;           /* bytes of the body */
  size_t header_size;                 /* of the answer */
  struct braid_list quiet;            /* while suspended: in the server's `fresh`, then `watched` */
  struct braid_list unanswered, told; /* in the server's lists of these names */
  int64_t dispatched, suspended;      /* points in time */
  uint64_t uses; /* odd while it is somebody's; in its number, so that an old number finds nothing */
  unsigned index, status, news;
  enum braid_exchange_state state;
  bool parked;                                          /* suspended in libmicrohttpd */
  bool watched;                                         /* the departures' epoll has its socket */
  bool owned;                                           /* the owner has it and is not done */
  bool takes_stream, body_ended;                        /* the request's body */
  bool gives_stream, out_ended, out_failed, wants_room; /* the answer's */
};

int64_t braid_exchange_number(const struct braid_exchange *exchange);

/* What was asked. The pointers are good until the exchange is over; the target is as it came: nothing is decoded. */
const char *braid_exchange_method(const struct braid_exchange *exchange);
const char *braid_exchange_target(const struct braid_exchange *exchange, size_t *size);
const char *braid_exchange_body(const struct braid_exchange *exchange, size_t *size);

/* Inside admit. */
void braid_exchange_admit(struct braid_exchange *exchange, size_t max_body, bool takes_stream);

/* Of a streamed body: what has come since the last time was forgotten, which may be nothing. */
enum braid_body { BRAID_BODY_MORE, BRAID_BODY_ENDED, BRAID_BODY_TOO_LARGE };
enum braid_body braid_exchange_piece(const struct braid_exchange *exchange, const char **data, size_t *size);
void braid_exchange_forget_piece(struct braid_exchange *exchange);

/* A header as it came. */
struct braid_field {
  const char *name, *value;
  size_t name_size, value_size;
};

/* How many headers came, and up to `room` of them. */
size_t braid_exchange_fields(const struct braid_exchange *exchange, struct braid_field *fields, size_t room);

/* The client's address as text; false when `room` (64 is enough) does not do. */
bool braid_exchange_peer(const struct braid_exchange *exchange, char *text, size_t room);

/* It has its answer. */
bool braid_exchange_answered(const struct braid_exchange *exchange);

/* An answer is prepared, gets its headers, of 4 KiB in all, and is sent. A body is copied; a file is `size` bytes of a
 * descriptor, which is closed in any case; a stream is written afterwards. Each is false when memory is out, when the
 * exchange has its answer already, or the header is one that cannot be sent; a failed answer can be prepared anew. What
 * is sent outside a dispatch goes out in the next braid_serve_run. */
bool braid_exchange_prepare(struct braid_exchange *exchange, unsigned status, const void *body, size_t size);
bool braid_exchange_prepare_file(struct braid_exchange *exchange, unsigned status, int fd, uint64_t offset,
                                 uint64_t size);
bool braid_exchange_prepare_stream(struct braid_exchange *exchange, unsigned status);
bool braid_exchange_add_header(struct braid_exchange *exchange, const char *name, const char *value);
bool braid_exchange_send(struct braid_exchange *exchange);

/* Adds to a streamed answer; false when memory is out. It goes out in the next braid_serve_run. */
bool braid_exchange_write(struct braid_exchange *exchange, const void *data, size_t size);

/* There is room for more; if not, news will tell when there is. */
bool braid_exchange_has_room(struct braid_exchange *exchange);

/* The end of a streamed answer. A failed one ends with its connection, so that the client knows. */
void braid_exchange_end(struct braid_exchange *exchange, bool failed);

/* For serve.c: libmicrohttpd leaves the connection alone from now on; and again takes care of it. */
void braid_exchange_park(struct braid_exchange *exchange);
void braid_exchange_unpark(struct braid_exchange *exchange);

/* For serve.c: the answer that is ready goes to libmicrohttpd. */
enum MHD_Result braid_exchange_queue(struct braid_exchange *exchange);

/* For serve.c: there is news for the owner. */
void braid_exchange_tell(struct braid_exchange *exchange, unsigned news);

/* For serve.c. */
void braid_exchange_discard(struct braid_exchange *exchange);

struct braid_serve {
  struct MHD_Daemon *daemon;
  int fd, departures;
  bool draining, encrypted;
  struct braid_serve_options options;
  struct braid_exchange **slots;
  unsigned slot_count, slot_room;
  struct braid_exchange *free;
  struct braid_list fresh, watched;      /* suspended exchanges, the longest first */
  struct braid_list unanswered;          /* with the owner, the longest first */
  struct braid_list told;                /* with news */
  struct braid_list idle;                /* connections that wait for a request's headers, the longest first */
  struct braid_list receiving;           /* connections that wait for the rest of a body */
  const struct braid_serve_owner *owner; /* while it runs */
  struct braid_serve_counts counts;
};

#endif
