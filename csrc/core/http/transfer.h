/* SPDX-License-Identifier: MIT
 * HTTP requests: one libcurl multi handle on a loop. The transfers of a session share connections, cookies and TLS
 * sessions. libcurl's callbacks only fill buffers and end waits. The loop's thread only; nothing blocks. */
#ifndef BRAID_TRANSFER_H
#define BRAID_TRANSFER_H

#include "core/loop/loop.h"
#include "core/http/patience.h"
#include "core/http/request.h"
#include "core/http/response.h"
#include "core/http/upload.h"

struct braid_http_session {
  struct braid_loop *loop; /* NULL: it is closed */
  CURLM *multi;
  CURLSH *shared; /* cookies and TLS sessions */
  struct braid_alarm alarm;
  struct braid_list running;  /* started and not yet released */
  struct braid_list admitted; /* to be added to libcurl, by `turn` */
  struct braid_list lookups;  /* names that are being looked up */
  struct braid_list idle;     /* released transfers, for later requests */
  struct braid_watch *spare;  /* unused watches, by `next` */
  unsigned idle_count;
  long sockets;          /* open sockets */
  long bound;            /* of these: sockets that a running transfer has opened */
  long requests, reused; /* requests so far; those that used an earlier connection */
  bool cookies, limited;
};

struct braid_transfer {
  struct braid_http_session *session;
  struct braid_list link, turn;
  struct braid_lookup *lookup; /* the look-up that it makes, also for others */
  CURL *easy;
  struct braid_waiter *waiter; /* whose wait ends when there is news; NULL: nobody waits */
  struct braid_waiter *giver;  /* the same, when more of the request's body can be given */
  uint64_t configured;         /* the serial of the request whose options the handle has */
  char *ca_file;
  char *url;    /* that the handle has, in parts in `place`; NULL: none, or it could not be read */
  CURLU *place; /* NULL: it was not needed yet */
  struct braid_response response;
  struct braid_upload upload;
  struct braid_patience patience;
  struct braid_alarm alarm; /* when to look at `patience` */
  CURLcode code;            /* when done */
  int unwatched;            /* the socket, which libcurl does not watch while the request's body is waited for; -1 */
  bool stream, added, done, paused, bound, starved;
  bool tried;                 /* libcurl has got it, so what libcurl reports is not of an earlier transfer */
  bool repeatable;            /* the request is idempotent */
  bool asked;                 /* it was sent, and no line of a response has come */
  bool repeated;              /* a second try was aborted */
  char text[CURL_ERROR_SIZE]; /* the error message, or empty */
};

/* Seconds from the start until the host's address was known, the connection was made, TLS was ready, the response
 * began, and it ended; 0: that did not happen. */
enum {
  BRAID_TRANSFER_NAME,
  BRAID_TRANSFER_CONNECT,
  BRAID_TRANSFER_TLS,
  BRAID_TRANSFER_BEGIN,
  BRAID_TRANSFER_END,
  BRAID_TRANSFER_TIMES
};

/* Facts about a transfer that has begun. */
struct braid_transfer_facts {
  long status;       /* 0: there was no response */
  long http_version; /* 10, 11, 20, 30 */
  bool asked;        /* a request was sent */
  char *address;     /* of the peer; valid until the release */
  long port;         /* of the peer */
  long refusal;      /* the status by which a proxy refused to connect; 0: none */
  double times[BRAID_TRANSFER_TIMES];
};

/* Opens a session. `per_host` and `total` limit its connections; 0: no limit. False: libcurl cannot be loaded, or
 * memory is out. The first call in a process loads libcurl, which blocks. */
bool braid_http_session_open(struct braid_http_session *session, struct braid_loop *loop, bool cookies, long per_host,
                             long total);

/* Ends every wait with BRAID_CLOSED and frees all transfers. A second call does nothing. */
void braid_http_session_close(struct braid_http_session *session);

/* Starts a transfer. It may be done already, if it could not begin. NULL when memory is out. Strings are copied. The
 * body and the lists stay the caller's, who must keep them until the release; or the body is given in pieces
 * (request->upload). */
struct braid_transfer *braid_http_session_start(struct braid_http_session *session,
                                                const struct braid_request *request);

/* Ends the wait for news of the transfer, if there is one. */
static inline void braid_transfer_tell(struct braid_transfer *transfer, enum braid_status status) {
  struct braid_waiter *waiter = transfer->waiter;
  transfer->waiter = NULL;
  if (waiter) braid_loop_end_wait(transfer->session->loop, waiter, status);
}

/* Ends the wait of who gives the request's body. */
static inline void braid_transfer_tell_giver(struct braid_transfer *transfer, enum braid_status status) {
  struct braid_waiter *giver = transfer->giver;
  transfer->giver = NULL;
  if (giver) braid_loop_end_wait(transfer->session->loop, giver, status);
}

/* Whether a piece of a streamed body, or the result, can be taken. */
static inline bool braid_transfer_ready(const struct braid_transfer *transfer) {
  return transfer->done || (transfer->stream && transfer->response.body.size > 0);
}

/* Whether the status and headers of the response, or the result, are known. */
static inline bool braid_transfer_begun(const struct braid_transfer *transfer) {
  return transfer->done || transfer->response.begun;
}

/* Sets the waiter whose wait ends with BRAID_OK when the transfer may be ready, or begun; the caller checks that again.
 * NULL: nobody waits any more. */
static inline void braid_transfer_await(struct braid_transfer *transfer, struct braid_waiter *waiter) {
  transfer->waiter = waiter;
}

/* The caller has taken the whole body buffer; a paused transfer goes on. */
void braid_transfer_taken(struct braid_transfer *transfer);

/* Whether a piece of the request's body can be given at once, or none is wanted any more. */
static inline bool braid_transfer_hungry(const struct braid_transfer *transfer) {
  return transfer->done || braid_upload_hungry(&transfer->upload);
}

/* Sets the waiter whose wait ends with BRAID_OK when the transfer may be hungry. NULL: nobody waits any more. */
static inline void braid_transfer_await_hunger(struct braid_transfer *transfer, struct braid_waiter *waiter) {
  transfer->giver = waiter;
}

/* Gives a piece of the request's body; NULL: that was all. False: memory is out. */
bool braid_transfer_give(struct braid_transfer *transfer, const char *data, size_t size);

struct braid_transfer_facts braid_transfer_facts(const struct braid_transfer *transfer);

/* Returns the session's cookies as the body of a transfer, which the caller must release. One cookie a line, in
 * Netscape's format. With `forget`, all cookies are removed. NULL when memory is out. */
struct braid_transfer *braid_http_session_cookies(struct braid_http_session *session, bool forget);

/* Stops the transfer if it runs, and gives it back to its session. */
void braid_transfer_release(struct braid_transfer *transfer);

#endif
