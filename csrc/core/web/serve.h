/* SPDX-License-Identifier: MIT
 * An HTTP server on the caller's loop: libmicrohttpd without its own threads. The owner waits until one of the server's
 * descriptors is readable or its timeout is over, and then calls braid_serve_run. An *exchange* is a request that has
 * come (with its whole body, or only with its headers if the body is streamed) and its response. The owner gets it in
 * its `dispatch` function, in braid_serve_run, and may respond there or later. An exchange has a number, which becomes
 * invalid when the exchange is over; so a response that is too late finds no exchange. The owner's thread only; nothing
 * blocks. */
#ifndef BRAID_SERVE_H
#define BRAID_SERVE_H

#include "core/base/base.h"

struct braid_serve;
struct braid_exchange;

struct braid_serve_options {
  size_t max_body;               /* bytes of a request's body; more: 413 */
  size_t max_header;             /* bytes of a request's line and headers; more: 431 */
  int64_t idle_timeout;          /* ns in which a request must come completely; 0: no limit */
  int64_t request_timeout;       /* ns without a response after which there is BRAID_NEWS_LATE; 0: never */
  unsigned max_connections;      /* more: 503; 0: as many as files may be open */
  const char *key, *certificate; /* PEM, for TLS; NULL: plain HTTP */
};

/* Takes over the listener, also when it fails. Raises the process's limit of open files as far as possible. Returns 0
 * or an error number. ENOTSUP: libmicrohttpd has no epoll or no TLS. EINVAL: a bad key or certificate. */
int braid_serve_open(struct braid_serve **serve, int listener, const struct braid_serve_options *options);

/* Ends every exchange and closes every connection. Not in braid_serve_run. */
void braid_serve_close(struct braid_serve *serve);

/* Closes the listener, and each connection after its current exchange. */
void braid_serve_drain(struct braid_serve *serve);

/* Whether there is no exchange, and no connection was used for `linger` ns. */
bool braid_serve_is_quiet(const struct braid_serve *serve, int64_t linger);

/* Readable when braid_serve_run has work. */
int braid_serve_fd(const struct braid_serve *serve);

/* Readable when a client with a suspended exchange may have left; then call braid_serve_look. */
int braid_serve_departures_fd(const struct braid_serve *serve);

/* Finds the clients that have left, and makes news of it. */
void braid_serve_look(struct braid_serve *serve);

/* Milliseconds until braid_serve_run must be called in any case; -1: no limit. */
int64_t braid_serve_timeout(struct braid_serve *serve);

/* The owner's functions. `admit` is called after the headers of a request with a body; it may set the body's limit, or
 * have it streamed. NULL: not called. `dispatch` gets the exchange; it may respond then or later. */
struct braid_serve_owner {
  void (*admit)(struct braid_exchange *exchange, void *context);
  void (*dispatch)(struct braid_exchange *exchange, void *context);
  void *context;
};

/* Does all work that there is. Not in `dispatch`. */
void braid_serve_run(struct braid_serve *serve, const struct braid_serve_owner *owner);

/* What the owner of an exchange is told; flags. */
enum braid_news {
  BRAID_NEWS_GONE = 1, /* the client has left */
  BRAID_NEWS_LATE = 2, /* there was no response within request_timeout */
  BRAID_NEWS_ROOM = 4, /* a streamed response has room */
  BRAID_NEWS_BODY = 8  /* more of a streamed body has come, or its end */
};

/* Takes the next exchange with news. False: there is none. */
bool braid_serve_next_news(struct braid_serve *serve, int64_t *number, unsigned *news);

struct braid_serve_counts {
  uint64_t accepted;    /* connections, in total */
  unsigned connections; /* connections now */
  unsigned exchanges;   /* exchanges now: from the request line to the end of the response */
};
struct braid_serve_counts braid_serve_count(const struct braid_serve *serve);

/* Returns the exchange with this number; NULL: it is over. */
struct braid_exchange *braid_serve_find(const struct braid_serve *serve, int64_t number);

#endif
