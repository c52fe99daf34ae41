/* SPDX-License-Identifier: MIT
 * An HTTP request, and how it becomes options of a libcurl handle. Each request sets every one of these options, so
 * a handle that was used before has no past. Any thread that has the handle to itself; nothing blocks. */
#ifndef BRAID_REQUEST_H
#define BRAID_REQUEST_H

#include "core/base/base.h"
#include "core/http/curl.h"

/* A part of a form: its content, or the file it is in, which is read while it is sent. */
struct braid_part {
  const char *name, *content, *path, *filename, *type; /* content or path; filename and type may be NULL */
  size_t size;                                         /* of the content */
};

struct braid_request {
  const char *method, *url;
  const char *body; /* NULL: none; not copied */
  size_t body_size;
  const struct braid_part *parts; /* the body is a form */
  size_t part_count;
  struct curl_slist *headers;                    /* not copied */
  const char *user, *password, *proxy, *ca_file; /* NULL: nobody, and what the system says */
  const char *unix_socket, *no_proxy, *cookies;
  long auth;            /* CURLAUTH_...: how user and password are told */
  long idle_timeout;    /* seconds without a byte; 0: no bound */
  long connect_timeout; /* milliseconds; 0: libcurl's */
  long redirects;       /* followed at most */
  long http_version;    /* CURL_HTTP_VERSION_... */
  int64_t max_body;     /* bytes; 0: no bound */
  bool verify;
  bool repeatable; /* by its method, doing it twice is doing it once */
  bool stream;     /* the body is taken in pieces: the transfer pauses while nobody does */
};

/* All but ca_file, from which there is no way back. The answer is the first refusal, or CURLE_OK. */
CURLcode braid_request_apply(const struct braid_request *request, CURL *easy);

/* Copies the parts into the form. For a file that cannot be read the answer is CURLE_READ_ERROR, and its path in
 * `text`, which has room for CURL_ERROR_SIZE. */
CURLcode braid_request_fill(const struct braid_request *request, struct curl_mime *form, char *text);

/* Requests with this method may be done again: the server is then as after one. */
bool braid_method_repeatable(const char *method);

/* The method has a name of its own: libcurl does not know that a 303 makes a GET of it. */
bool braid_request_custom(const struct braid_request *request);

/* Plain HTTP/1: each transfer needs a connection for itself. */
bool braid_request_plain(const struct braid_request *request);

/* The length of the URL's "scheme://host:port", or 0 when there is no name in it whose address must be asked for, or
 * somebody else may ask for it: a proxy. */
size_t braid_request_lookup(const struct braid_request *request);

#endif
