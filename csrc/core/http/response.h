/* SPDX-License-Identifier: MIT
 * What has come of an HTTP response: the last head, and the part of the body that nobody has taken yet, decompressed.
 * libcurl's callbacks fill it. Its owner's thread only; nothing blocks. */
#ifndef BRAID_RESPONSE_H
#define BRAID_RESPONSE_H

#include "core/base/buffer.h"

struct braid_decoder;

struct braid_response {
  struct braid_buffer head; /* status line and headers of the last response */
  struct braid_buffer body;
  struct braid_decoder *decoder; /* of a compressed body that has begun */
  const char *problem;           /* why the body cannot be decompressed; NULL: no error */
  const char *fault;             /* why the head cannot be believed; NULL: no error */
  int64_t length;                /* the Content-Length of the last head so far; -1: it has none */
  int64_t dropped;               /* bytes of a redirect's body */
  int64_t received, max_body;    /* bytes of the whole body so far, and its limit; 0: no limit */
  size_t window;                 /* bytes that may wait to be taken; what is more is not yet decompressed */
  int status;                    /* of the last head */
  bool decodes;                  /* compressed bodies are decompressed */
  bool bodied;                   /* the body of the last head has begun */
  bool follows;                  /* redirects are followed */
  bool located;                  /* the last head has a Location */
  bool headed;                   /* the last head is complete */
  bool begun;                    /* the head of the final response is complete */
  bool oversize;                 /* the body is larger than its limit */
};

/* Prepares it for a new request; keeps its buffers. The caller sets max_body, window, decodes and follows. */
void braid_response_reset(struct braid_response *response);

void braid_response_term(struct braid_response *response);

/* Frees large buffers. */
void braid_response_shrink(struct braid_response *response);

/* Adds a line of a head, with its line end. A status line begins a new head; heads of 1xx are replaced.
 * Trailers are dropped. False: the head is too large or has a fault, or memory is out. */
bool braid_response_head(struct braid_response *response, const char *line, size_t size);

/* Whether a piece of this size has to wait until the body so far is taken. */
bool braid_response_crowded(const struct braid_response *response, size_t size);

/* Adds a piece of the body; that of a redirect is dropped. False: the body is too large, or cannot be decompressed, or
 * memory is out; or so much of a redirect's body has come that the rest is not waited for. */
bool braid_response_body(struct braid_response *response, const char *data, size_t size);

/* The body so far was taken: goes on with what has come and is not yet decompressed. False as above. */
bool braid_response_taken(struct braid_response *response);

/* Whether a redirect was left before the end of its body. */
bool braid_response_left(const struct braid_response *response);

/* All has come. Whether the body is complete; sets `problem` if it is cut within its compression. */
bool braid_response_close(struct braid_response *response);

#endif
