/* SPDX-License-Identifier: MIT
 * An HTTP server on somebody's loop: libmicrohttpd without threads of its own. Whoever owns the server waits until
 * one of its descriptors is readable, or its timeout is over, and lets it run. A request that has arrived (whole, or
 * only its headers when its body is to be streamed) is an *exchange*; it is handed to the owner's dispatch function
 * inside braid_serve_run and answered there and then, or later. An exchange is known by a number, which goes stale when
 * the exchange is over: an answer that comes too late finds nothing. All functions: the owner's thread only; none
 * blocks, except where said otherwise. */
#ifndef BRAID_SERVE_H
#define BRAID_SERVE_H

#include "core/base/base.h"

struct braid_serve;
struct braid_exchange;

struct braid_serve_options {
  size_t max_body;               /* bytes of a request's body; beyond: 413 */
  size_t max_header;             /* bytes of a request's line and headers together; beyond: 431 */
  int64_t idle_timeout;          /* ns until a connection is closed on which no request arrives in full; 0: never */
  int64_t request_timeout;       /* ns after which an exchange without an answer is news; 0: never */
  unsigned max_connections;      /* beyond: 503; 0: as many as files may be open */
  const char *key, *certificate; /* PEM, for TLS; NULL: plain HTTP */
};

/* Takes over the listener, also when it fails. Raises the process's limit of open files as far as it may. Returns 0
 * or an error number; ENOTSUP where libmicrohttpd has no epoll, or no TLS; EINVAL for a bad key or certificate. */
int braid_serve_open(struct braid_serve **serve, int listener, const struct braid_serve_options *options);

/* Not inside braid_serve_run. Every exchange is over and every connection closed afterwards. */
void braid_serve_close(struct braid_serve *serve);

/* Accepts no more, and closes each connection after its current exchange. The listener is closed. */
void braid_serve_drain(struct braid_serve *serve);

/* Nothing is on its way, and no connection has been used for `linger` ns. */
bool braid_serve_is_quiet(const struct braid_serve *serve, int64_t linger);

/* Becomes readable when there is work. */
int braid_serve_fd(const struct braid_serve *serve);

/* Becomes readable when clients have left whose exchanges wait for their answer: braid_serve_look. */
int braid_serve_departures_fd(const struct braid_serve *serve);

/* Finds who has left: that is news. */
void braid_serve_look(struct braid_serve *serve);

/* Milliseconds after which there is work in any case; -1: never. */
int64_t braid_serve_timeout(struct braid_serve *serve);

/* What the owner does. `admit` is asked when the headers of a request with a body are there, and may set the exchange's
 * limit or let its body be streamed; NULL: nobody asks. `dispatch` gets what has arrived; what it has not answered when
 * it returns is answered later. */
struct braid_serve_owner {
  void (*admit)(struct braid_exchange *exchange, void *context);
  void (*dispatch)(struct braid_exchange *exchange, void *context);
  void *context;
};

/* Does all work there is. Must not be called inside a dispatch. */
void braid_serve_run(struct braid_serve *serve, const struct braid_serve_owner *owner);

/* What the owner of an exchange is told; several at once. */
enum braid_news {
  BRAID_NEWS_GONE = 1, /* the client has left */
  BRAID_NEWS_LATE = 2, /* the request has waited for its answer for request_timeout */
  BRAID_NEWS_ROOM = 4, /* a streamed answer may go on */
  BRAID_NEWS_BODY = 8  /* a streamed body goes on, or has ended */
};

/* The next exchange with news, by its number; false when there is none. */
bool braid_serve_next_news(struct braid_serve *serve, int64_t *number, unsigned *news);

struct braid_serve_counts {
  uint64_t accepted;    /* connections so far */
  unsigned connections; /* now */
  unsigned exchanges;   /* now: a request line has been read and its answer is not sent to the end */
};
struct braid_serve_counts braid_serve_count(const struct braid_serve *serve);

/* The exchange of that number, or NULL when it is over. */
struct braid_exchange *braid_serve_find(const struct braid_serve *serve, int64_t number);

#endif
