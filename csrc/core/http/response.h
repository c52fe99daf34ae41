/* SPDX-License-Identifier: MIT
 * What has come of an HTTP response: its head as it was sent, and of its body what nobody has taken yet. Filled by
 * libcurl's callbacks. Its owner's thread only. */
#ifndef BRAID_RESPONSE_H
#define BRAID_RESPONSE_H

#include "core/base/buffer.h"

struct braid_response {
  struct braid_buffer head; /* status line and headers of the last response */
  struct braid_buffer body;
  int64_t received, max_body; /* bytes of the body in all; max_body 0: no bound */
  int status;                 /* in the head */
  bool follows;               /* a head that names another place is not the last one */
  bool located;               /* this head does */
  bool begun;                 /* the head of the last response is complete */
  bool oversize;              /* the body went beyond its bound */
};

/* A new request has been made; its buffers are used again. */
void braid_response_reset(struct braid_response *response, int64_t max_body, bool follows);

void braid_response_term(struct braid_response *response);

/* Gives large buffers back. */
void braid_response_shrink(struct braid_response *response);

/* One line of a head, with its end. Each response, of a redirect or a 100, too, begins with its status line: the last
 * one's headers stay. False when it is too much, or memory is out. */
bool braid_response_head(struct braid_response *response, const char *line, size_t size);

/* A piece of the body. False when it is too much, or memory is out. */
bool braid_response_body(struct braid_response *response, const char *data, size_t size);

#endif
