/* SPDX-License-Identifier: MIT
 * A web server on the caller's loop: a listener, its connections with their limits of time, and their exchanges. The
 * loop's thread only; nothing blocks. */
#ifndef BRAID_WEB_SERVER_H
#define BRAID_WEB_SERVER_H

#include "core/loop/loop.h"
#include "core/web/answer.h"
#include "core/web/web_connection.h"

struct braid_web_options {
  uint64_t max_body;        /* bytes of a request's body; more: 413 */
  uint32_t max_header;      /* bytes of a request's head; more: 431 */
  int64_t idle_timeout;     /* ns in which a head must come completely; 0: no limit */
  int64_t request_timeout;  /* ns without an answer after which there is BRAID_NEWS_LATE; 0: never */
  unsigned max_connections; /* more: 503; 0: as many as files may be open */
  bool asks;                /* the owner is asked about each body: BRAID_NEWS_ASKED */
};

/* Makes the transports of new connections from plain ones; NULL: they stay plain. `open` returns 0 or an error number;
 * it does not close the descriptor. */
struct braid_web_security {
  int (*open)(struct braid_web_security *security, struct braid_transport *transport);
  /* The protocol for what ALPN has chosen; NULL: HTTP/1.1. */
  const struct braid_protocol *(*protocol)(struct braid_web_security *security, const char *name, size_t size);
};

struct braid_web_counts {
  uint64_t accepted;    /* connections, in total */
  unsigned connections; /* connections now, without those that were upgraded */
  unsigned upgraded;    /* connections that others have now */
  unsigned exchanges;   /* exchanges now: from the head to the end of the answer */
};

struct braid_web_listener {
  struct braid_watch watch;
  struct braid_web_server *server;
  struct braid_web_listener *next;
  int fd;
};

struct braid_web_server {
  struct braid_loop *loop;
  struct braid_web_listener *listeners; /* NULL: they are closed */
  struct braid_alarm alarm;
  int64_t alarm_due;
  struct braid_web_options options;
  struct braid_web_security *security;
  const struct braid_protocol *preface; /* for clients that begin with HTTP/2's preface; NULL: they are refused */
  void *context;                        /* the owner's own */
  struct braid_list connections, ended;
  struct braid_list waits[BRAID_WEB_WAITS]; /* of connections, those that have waited longest first */
  struct braid_list unanswered;             /* of exchanges, the oldest first */
  struct braid_exchange **slots;
  unsigned slot_count, slot_room;
  struct braid_exchange *free;
  char *blocks; /* spare blocks of BRAID_WEB_BLOCK bytes, each with a pointer to the next */
  unsigned block_count;
  struct braid_buffer scratch; /* for heads of answers */
  struct braid_date date;
  struct braid_web_counts counts;
  struct braid_wait_queue quiet; /* who waits for the last exchange of a draining server */
  int64_t paused;                /* until when it accepts nothing, because descriptors are out; 0: it does */
  unsigned hard_most;            /* connections beyond which it accepts nothing */
  bool draining, told_shortage;
};

enum { BRAID_WEB_BLOCK = 4096 };

/* Accepts nothing before braid_web_server_start. 0 or an error number. */
int braid_web_server_open(struct braid_web_server **server, struct braid_loop *loop,
                          const struct braid_web_options *options);

/* One more listener; before the start. Takes it over, also when it fails. 0 or an error number. */
int braid_web_server_listen(struct braid_web_server *server, int fd);
int braid_web_server_start(struct braid_web_server *server);

/* Ends every exchange and every connection. Exchanges that are ready are taken out of the loop's list. */
void braid_web_server_close(struct braid_web_server *server);

/* Closes the listeners, and each connection after its current exchange. */
void braid_web_server_drain(struct braid_web_server *server);

/* Whether there is no exchange, and no connection was used for `linger` ns. */
bool braid_web_server_is_quiet(const struct braid_web_server *server, int64_t linger);

/* A further connection, which somebody else has accepted. 0 or an error number; then it is closed. */
int braid_web_server_adopt(struct braid_web_server *server, int fd);

/* A connection that was upgraded has ended. */
void braid_web_server_release(struct braid_web_server *server);

/* The exchange with this number; NULL: both sides are done with it. */
struct braid_exchange *braid_web_server_find(const struct braid_web_server *server, uint64_t number);

/* For connections: how long they may wait; BRAID_NEVER: without a limit. Bodies are looked at after this time. */
int64_t braid_web_server_limit(const struct braid_web_server *server, enum braid_web_wait wait);

/* For connections: an alarm at `due` at the latest. */
void braid_web_server_alarm(struct braid_web_server *server, int64_t due);

#endif
