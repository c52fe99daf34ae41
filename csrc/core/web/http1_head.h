/* SPDX-License-Identifier: MIT
 * The head of an answer in HTTP/1.1. The server's thread only; nothing blocks. */
#ifndef BRAID_HTTP1_HEAD_H
#define BRAID_HTTP1_HEAD_H

#include "core/web/exchange.h"

/* Whether the client speaks HTTP/1.0. */
static inline bool braid_http1_is_old(const struct braid_exchange *exchange) {
  return exchange->head.flags & BRAID_HEAD_OLD;
}

/* Writes the head into the server's scratch buffer. False: memory is out. */
bool braid_http1_write_head(struct braid_exchange *exchange, const struct braid_answer *answer);

#endif
