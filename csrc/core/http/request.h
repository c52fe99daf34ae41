/* SPDX-License-Identifier: MIT
 * An HTTP request, and its translation to options of a libcurl handle. Every request sets all of these options, so
 * nothing is left of an earlier request with the same handle. Any thread that alone uses the handle; nothing blocks,
 * unless said otherwise. */
#ifndef BRAID_REQUEST_H
#define BRAID_REQUEST_H

#include "core/base/base.h"
#include "core/http/curl.h"
#include "core/http/patience.h"

struct braid_request {
  uint64_t serial; /* tells requests apart: a handle that has these options needs only another URL. 0: it never does */
  const char *method, *url;
  const char *body; /* not copied; NULL: none */
  size_t body_size;
  struct curl_slist *headers;                    /* not copied, as the next */
  struct curl_slist *ways;                       /* "host:port:address:port": where to connect to instead */
  const char *user, *password, *proxy, *ca_file; /* NULL: none, or for proxy and ca_file the system's setting */
  const char *unix_socket, *no_proxy, *cookies;
  const char *interface;  /* "host!" and an address of this host; NULL: any */
  const char *cert, *key; /* files; NULL: none */
  const char *pin;        /* "sha256//..." of the keys that the server may have; NULL: any */
  long tls_version;       /* CURL_SSLVERSION_...: the least */
  const char *netrc;      /* a file with users and passwords; "": ~/.netrc; NULL: none */
  long auth;              /* CURLAUTH_...: how user and password are sent */
  long connect_timeout;   /* milliseconds; 0: libcurl's default */
  long http_version;      /* CURL_HTTP_VERSION_... */
  int64_t max_body;       /* bytes; 0: no limit */
  int64_t upload_size;    /* bytes of a body that is given in pieces; -1: not known */
  struct braid_patience_limits patience;
  bool verify, decode;
  bool follows;    /* redirects are followed: the body of one is dropped */
  bool repeatable; /* the method is idempotent */
  bool upload;     /* the body is given in pieces */
  bool stream;     /* the caller takes the body in pieces; the transfer pauses when too much waits */
};

/* Gives the request a serial of its own: its options will not change. Any thread. */
void braid_request_number(struct braid_request *request);

/* Sets the options that a request says, but not its URL, and not ca_file, which only a reset of the handle can undo.
 * `changed`: the handle has options of another request. Returns the first error, or CURLE_OK. */
CURLcode braid_request_apply(const struct braid_request *request, CURL *easy, bool changed);

/* Appends the lines of the text to the list. False: memory is out; the list is as it was. */
bool braid_request_split(const char *text, struct curl_slist **list);

/* Whether the method is idempotent: a request that is done twice has the same effect as once. */
bool braid_method_repeatable(const char *method);

/* Whether it is plain HTTP/1, so that each transfer needs its own connection. */
bool braid_request_plain(const struct braid_request *request);

/* Whether it needs a connection that nobody used before it or uses after it: older versions of libcurl greet again on a
 * connection whose HTTP/2 began without TLS. */
bool braid_request_lonely(const struct braid_request *request);

/* Returns the length of "scheme://host:port" in the URL. 0: it has no host name that must be looked up, or a proxy may
 * look it up. */
size_t braid_request_lookup(const struct braid_request *request);

#endif
