/* SPDX-License-Identifier: MIT
 * HTTP requests: one libcurl multi handle on a loop. A session's transfers share connections, cookies and TLS sessions.
 * libcurl's callbacks only fill buffers and make waiters ready. The loop's thread only; nothing here blocks. */
#ifndef BRAID_TRANSFER_H
#define BRAID_TRANSFER_H

#include "core/loop/loop.h"
#include "core/http/request.h"
#include "core/http/response.h"

struct braid_http_session {
  struct braid_loop *loop; /* NULL: closed */
  CURLM *multi;
  CURLSH *shared; /* cookies and TLS sessions */
  struct braid_alarm alarm;
  struct braid_list running;  /* transfers that were started and not yet released */
  struct braid_list admitted; /* those that libcurl is to be given, by `turn` */
  struct braid_list lookups;  /* names whose addresses are being asked for */
  struct braid_list idle;     /* transfers to use again */
  struct braid_watch *spare;  /* watches to use again, by `next` */
  unsigned idle_count;
  long sockets; /* open ones */
  long bound;   /* of these, those that a running transfer has opened for itself and still uses */
  bool cookies, limited;
};

struct braid_transfer {
  struct braid_http_session *session;
  struct braid_list link, turn;
  struct braid_lookup *lookup; /* the one it makes for others too */
  CURL *easy;
  struct braid_waiter *waiter; /* who is told when there is something to take; NULL: nobody waits */
  struct curl_slist *headers;
  char *ca_file;
  struct curl_mime *form;
  struct braid_response response;
  CURLcode code; /* once done */
  bool stream, added, done, paused, bound, custom, starved;
  bool tried;                 /* libcurl has been given it: what it knows is not of an earlier one */
  bool repeatable;            /* the request may be sent again when its connection ends without an answer */
  bool asked;                 /* it is under way, and no line of an answer has come */
  bool repeated;              /* it would have been sent again, and was not */
  char text[CURL_ERROR_SIZE]; /* what went wrong, or empty */
};

/* Seconds from the start until the host's address was known, the connection stood, it was secured, the response began
 * and ended; 0: did not happen. */
enum {
  BRAID_TRANSFER_NAME,
  BRAID_TRANSFER_CONNECT,
  BRAID_TRANSFER_TLS,
  BRAID_TRANSFER_BEGIN,
  BRAID_TRANSFER_END,
  BRAID_TRANSFER_TIMES
};

/* Of a transfer that has begun. */
struct braid_transfer_facts {
  long status;       /* 0: no response came */
  long http_version; /* 10, 11, 20, 30 */
  bool asked;        /* a request has been sent */
  const char *url;   /* where redirects have led; NULL when there were none. Until the transfer is released */
  double times[BRAID_TRANSFER_TIMES];
};

/* `per_host` and `total` bound the connections; 0: no bound. False when memory is out. */
bool braid_http_session_open(struct braid_http_session *session, struct braid_loop *loop, bool cookies, long per_host,
                             long total);

/* Ends every wait with BRAID_CLOSED and frees all transfers. Nothing happens the second time. */
void braid_http_session_close(struct braid_http_session *session);

/* A transfer that runs, or is done already when it could not even be begun; NULL when memory is out. Strings are
 * copied; the body is the caller's, who keeps it until the release, and the header lines become the transfer's. */
struct braid_transfer *braid_http_session_start(struct braid_http_session *session,
                                                const struct braid_request *request);

/* Something can be taken: a piece of a streamed body, or the outcome. */
static inline bool braid_transfer_ready(const struct braid_transfer *transfer) {
  return transfer->done || (transfer->stream && transfer->response.body.size > 0);
}

/* Something is known: the status and the headers of the response, or the outcome. */
static inline bool braid_transfer_begun(const struct braid_transfer *transfer) {
  return transfer->done || transfer->response.begun;
}

/* The waiter's wait will end with BRAID_OK when the transfer may have become ready, or begun: look again then. NULL:
 * nobody waits any more. */
static inline void braid_transfer_await(struct braid_transfer *transfer, struct braid_waiter *waiter) {
  transfer->waiter = waiter;
}

/* The pieces in the body have been taken: more may come. */
void braid_transfer_taken(struct braid_transfer *transfer);

struct braid_transfer_facts braid_transfer_facts(const struct braid_transfer *transfer);

/* The session's cookies, one to a line in Netscape's format, as the body of a transfer to be released. With `forget`
 * they are gone afterwards. NULL when memory is out. */
struct braid_transfer *braid_http_session_cookies(struct braid_http_session *session, bool forget);

/* Gives the transfer back to its session, stopping it if it runs. */
void braid_transfer_release(struct braid_transfer *transfer);

#endif
