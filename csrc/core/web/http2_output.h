/* SPDX-License-Identifier: MIT
 * A connection of HTTP/2, and what it sends. The server's thread only; nothing blocks. */
#ifndef BRAID_HTTP2_OUTPUT_H
#define BRAID_HTTP2_OUTPUT_H

#include "core/web/http2_stream.h"
#include "core/web/nghttp2.h"
#include "core/web/web_connection.h"

#ifdef BRAID_HAS_NGHTTP2
enum { BRAID_HTTP2_ROOM = 64 << 10 }; /* bytes of a body, or of a streamed answer, that may wait */

struct braid_http2 {
  struct braid_web_connection *connection;
  nghttp2_session *session;
  struct braid_alarm alarm; /* sends what is submitted */
  bool sending;             /* the alarm is started */
  bool inside;              /* nghttp2 is working: it must not be called again */
  unsigned streams;         /* open ones */
  unsigned receiving;       /* of them: whose body is coming */
  unsigned owing;           /* of them: of whose answers the client has to take something */
  bool moved;               /* something was sent since the last look */
  bool draining;
  struct braid_list open, spare; /* streams */
  unsigned spare_count;
};

/* For the alarm of `http2`. */
void braid_http2_on_alarm(struct braid_alarm *alarm);

/* Notes whether the client has to take something of the stream's answer. */
void braid_http2_set_owing(struct braid_http2_stream *stream, bool owing);

/* Makes frames of what was submitted, up to a batch. False: nghttp2 is at its end. */
bool braid_http2_collect(struct braid_http2 *http2, struct braid_buffer *batch);

/* Sends what is there, while the client takes it. False: the connection has ended. */
bool braid_http2_flush(struct braid_http2 *http2);

/* Something was submitted: it is sent in the next turn, together with what follows until then. */
void braid_http2_send_soon(struct braid_http2 *http2);
#endif

#endif
