/* SPDX-License-Identifier: MIT
 * Answers of HTTP/2: the functions of its braid_protocol that send. The server's thread only; nothing blocks. */
#ifndef BRAID_HTTP2_ANSWER_H
#define BRAID_HTTP2_ANSWER_H

#include "core/web/http2_output.h"

#ifdef BRAID_HAS_NGHTTP2
bool braid_http2_respond(struct braid_exchange *exchange, const struct braid_answer *answer);
bool braid_http2_write(struct braid_exchange *exchange, const void *data, size_t size);
bool braid_http2_has_room(const struct braid_exchange *exchange);
void braid_http2_end(struct braid_exchange *exchange);
#endif

#endif
