/* SPDX-License-Identifier: MIT
 * Frames are made only while few bytes wait for the client; else they stay in the streams. */
#include "core/web/http2_output.h"

#ifdef BRAID_HAS_NGHTTP2
#include "core/base/clock.h"
#include "core/web/web_server.h"

enum { BATCH = 64 << 10 }; /* bytes that are sent at once; while so many wait, no frames are made */

void braid_http2_set_owing(struct braid_http2_stream *stream, bool owing) {
  if (stream->owing == owing) return;
  stream->owing = owing;
  if (owing)
    stream->http2->owing++;
  else
    stream->http2->owing--;
}

/* ---- sending -------------------------------------------------------------------------------------------------- */

/* Whether a body is coming that is neither the owner's turn to decide about nor to take. */
static bool awaits_body(const struct braid_http2 *http2) {
  if (http2->receiving == 0) return false;
  for (const struct braid_list *at = http2->open.next; at != &http2->open; at = at->next) {
    const struct braid_http2_stream *stream = braid_container(at, struct braid_http2_stream, link);
    bool ours = stream->exchange && (!stream->admitted || stream->held >= BRAID_HTTP2_ROOM);
    if (!stream->input_ended && !ours) return true;
  }
  return false;
}

/* Sets the connection's limit of time. */
static void settle(struct braid_http2 *http2) {
  struct braid_web_connection *connection = http2->connection;
  bool owes = braid_web_connection_backlog(connection) > 0 || http2->owing > 0;
  enum braid_web_wait wait = owes                 ? BRAID_WEB_OUT
                             : awaits_body(http2) ? BRAID_WEB_BODY
                             : http2->streams > 0 ? BRAID_WEB_FREE
                                                  : BRAID_WEB_IDLE;
  if (connection->wait != wait || (wait == BRAID_WEB_OUT && http2->moved)) braid_web_connection_wait(connection, wait);
  http2->moved = false;
}

bool braid_http2_collect(struct braid_http2 *http2, struct braid_buffer *batch) {
  const uint8_t *data;
  ssize_t size = 0;
  batch->size = 0;
  http2->inside = true;
  while (batch->size < BATCH && (size = nghttp2_session_mem_send(http2->session, &data)) > 0)
    if (!braid_buffer_append(batch, data, (size_t)size)) size = -1;
  http2->inside = false;
  return size >= 0;
}

bool braid_http2_flush(struct braid_http2 *http2) {
  struct braid_web_connection *connection = http2->connection;
  struct braid_buffer *batch = &connection->server->scratch;
  while (braid_web_connection_backlog(connection) < BATCH) {
    if (!braid_http2_collect(http2, batch)) {
      braid_web_connection_end(connection, true);
      return false;
    }
    if (batch->size == 0) break;
    struct iovec piece = {batch->data, batch->size};
    http2->moved = true;
    if (!braid_web_connection_send(connection, &piece, 1)) return false;
  }
  bool over = !nghttp2_session_want_read(http2->session) && !nghttp2_session_want_write(http2->session);
  if (over && braid_web_connection_backlog(connection) == 0) {
    connection->transport.class->shutdown(&connection->transport);
    braid_web_connection_end(connection, false);
    return false;
  }
  settle(http2);
  return true;
}

void braid_http2_on_alarm(struct braid_alarm *alarm) {
  struct braid_http2 *http2 = braid_container(alarm, struct braid_http2, alarm);
  http2->sending = false;
  braid_http2_flush(http2);
}

void braid_http2_send_soon(struct braid_http2 *http2) {
  if (http2->sending || http2->inside) return;
  http2->sending = braid_alarm_start(http2->connection->server->loop, &http2->alarm, braid_clock_now());
  if (!http2->sending) braid_http2_flush(http2);
}
#endif
