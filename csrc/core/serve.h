/* SPDX-License-Identifier: MIT
 * An HTTP server on somebody's loop: libmicrohttpd without threads of its own. Whoever owns the server waits until
 * its descriptor is readable, or its timeout is over, and lets it run. A request that has arrived whole is an
 * *exchange*; it is handed to the owner's dispatch function inside braid_serve_run and answered there and then, or
 * later. An exchange is known by a number, which goes stale when the exchange is over: an answer that comes too late
 * finds nothing. All functions: the owner's thread only; none blocks, except where said otherwise. */
#ifndef BRAID_SERVE_H
#define BRAID_SERVE_H

#include "base.h"

struct braid_serve;
struct braid_exchange;

struct braid_serve_options {
  size_t max_body;       /* bytes of a request's body; beyond: 413 */
  size_t max_header;     /* bytes of a request's line and headers together; beyond: 431 */
  unsigned idle_timeout; /* seconds after which a silent connection is closed; 0: never */
};

/* A bound TCP socket that listens on the address that `host` stands for; *port is set when it was 0. Returns 0 or an
 * error number, or when the name could not be resolved -1 and *problem. May block while it resolves a name. */
int braid_serve_listen(const char *host, unsigned *port, int *listener, const char **problem);

/* Takes over the listener, also when it fails. Raises the process's limit of open files as far as it may. Returns 0
 * or an error number; ENOTSUP where libmicrohttpd has no epoll. */
int braid_serve_open(struct braid_serve **serve, int listener, const struct braid_serve_options *options);

/* Not inside braid_serve_run. Every exchange is over and every connection closed afterwards. */
void braid_serve_close(struct braid_serve *serve);

/* Accepts no more, and closes each connection after its current exchange. */
void braid_serve_drain(struct braid_serve *serve);

/* Becomes readable when there is work. */
int braid_serve_fd(const struct braid_serve *serve);

/* Milliseconds after which there is work in any case; -1: never. */
int64_t braid_serve_timeout(struct braid_serve *serve);

/* Called with an exchange that has arrived whole. What it has not answered when it returns is answered later. */
typedef void (*braid_serve_dispatch)(struct braid_exchange *exchange, void *context);

/* Does all work there is. Must not be called inside a dispatch. */
void braid_serve_run(struct braid_serve *serve, braid_serve_dispatch dispatch, void *context);

struct braid_serve_counts {
  uint64_t accepted;    /* connections so far */
  unsigned connections; /* now */
  unsigned exchanges;   /* now: a request line has been read and its answer is not sent to the end */
};
struct braid_serve_counts braid_serve_count(const struct braid_serve *serve);

/* The exchange of that number, or NULL when it is over. */
struct braid_exchange *braid_serve_find(const struct braid_serve *serve, int64_t number);
int64_t braid_exchange_number(const struct braid_exchange *exchange);

/* What was asked. The pointers are good until the exchange is over; the target is as it came: nothing is decoded. */
const char *braid_exchange_method(const struct braid_exchange *exchange);
const char *braid_exchange_target(const struct braid_exchange *exchange, size_t *size);
const char *braid_exchange_body(const struct braid_exchange *exchange, size_t *size);

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

/* An answer is prepared, gets its headers, of 4 KiB in all, and is sent. The body is copied. Each is false when memory
 * is out, when the exchange has its answer already, or the header is one that cannot be sent; a failed answer can be
 * prepared anew. What is sent outside a dispatch goes out in the next braid_serve_run. */
bool braid_exchange_prepare(struct braid_exchange *exchange, unsigned status, const void *body, size_t size);
bool braid_exchange_add_header(struct braid_exchange *exchange, const char *name, const char *value);
bool braid_exchange_send(struct braid_exchange *exchange);

#endif
