/* SPDX-License-Identifier: MIT
 * nghttp2 reads and writes the frames. Its callbacks change streams and tell exchanges; they run nothing else. What is
 * submitted meanwhile, by handlers in the loop's turn, is sent together in the next turn, by an alarm.
 *
 * Against clients that are a burden: nghttp2 limits resets of streams, CONTINUATION frames, settings and answers to
 * pings. A head keeps `max_header`. The window of the connection is opened at once, that of a stream when its handler
 * takes the bytes. A client that owes reading has the time limit of BRAID_WEB_OUT. */
#include "core/web/http2.h"

#include "core/web/nghttp2.h"
#include "core/web/web_server.h"

#ifndef BRAID_HAS_NGHTTP2

const char *braid_http2_enable(struct braid_web_server *server) {
  (void)server;
  return braid_nghttp2_load();
}

const struct braid_protocol *braid_http2_protocol(const char *name, size_t size) {
  (void)name, (void)size;
  return NULL;
}

#else
#include <stdlib.h>
#include <string.h>

#include "core/web/http2_answer.h"

enum {
  MOST_STREAMS = 128,      /* at a time */
  WINDOW = 1 << 20,        /* bytes that a client may send on a stream before its handler takes them */
  WHOLE_WINDOW = 4 << 20,  /* the same for the connection */
  MOST_SETTINGS = 32,      /* entries of a SETTINGS frame */
  MOST_ANSWERS = 500,      /* acknowledgements that may wait for a client that does not read */
  MOST_CONTINUATIONS = 8,  /* frames of a head */
  RESETS = 1000,           /* of streams by the client: so many at once, */
  RESET_RATE = 33,         /* and each second */
  MOST_DROPPED = 16 << 20, /* bytes of a body that a client may send after its answer */
  MOST_SPARE = 16          /* streams that are kept for the next requests */
};

static struct braid_http2_stream *stream_of(const struct braid_exchange *exchange) { return exchange->stream; }

static void end_input(struct braid_http2_stream *stream) {
  if (stream->input_ended) return;
  stream->input_ended = true;
  stream->http2->receiving--;
}

/* ---- bodies --------------------------------------------------------------------------------------------------- */

/* The owner answers with the status. Who reads the body piece by piece is told by its next read. */
static void refuse(struct braid_http2_stream *stream, unsigned status) {
  struct braid_exchange *exchange = stream->exchange;
  if (exchange->refusal) return;
  if (stream->admitted && exchange->streamed) {
    exchange->refusal = status;
    braid_exchange_wake(&exchange->readers);
  } else {
    braid_exchange_refuse(exchange, status);
  }
}

/* Gives back the stream's window for what the owner has taken. */
static void open_window(struct braid_http2_stream *stream) {
  if (stream->held == 0) return;
  nghttp2_session_consume_stream(stream->http2->session, stream->id, stream->held);
  stream->held = 0;
  braid_http2_send_soon(stream->http2);
}

/* What has come of an admitted body. */
static void take_input(struct braid_http2_stream *stream) {
  struct braid_exchange *exchange = stream->exchange;
  if (exchange->refusal || exchange->body_ended) return;
  if (exchange->arrived > exchange->max_body) {
    refuse(stream, 413);
    return;
  }
  exchange->body_ended = stream->input_ended;
  if (exchange->streamed)
    braid_exchange_wake(&exchange->readers);
  else if (exchange->body_ended)
    braid_exchange_dispatch(exchange);
  else
    open_window(stream);
}

static void start_body(struct braid_http2_stream *stream) {
  struct braid_exchange *exchange = stream->exchange;
  if (exchange->head.length > exchange->max_body) {
    exchange->streamed = false;
    refuse(stream, 413);
    return;
  }
  stream->admitted = true;
  if (exchange->streamed) braid_exchange_dispatch(exchange);
  take_input(stream);
}

static void admitted(struct braid_exchange *exchange) {
  struct braid_http2_stream *stream = stream_of(exchange);
  if (!stream->admitted && !exchange->refusal) start_body(stream);
}

static void wanted(struct braid_exchange *exchange) {
  if (exchange->body.size < BRAID_HTTP2_ROOM) open_window(stream_of(exchange));
}

/* ---- requests ------------------------------------------------------------------------------------------------- */

static struct braid_http2_stream *stream_at(struct braid_list *link) {
  return link ? braid_container(link, struct braid_http2_stream, link) : NULL;
}

static struct braid_http2_stream *new_stream(struct braid_http2 *http2, int32_t id) {
  struct braid_http2_stream *stream = stream_at(braid_list_pop(&http2->spare));
  if (stream)
    http2->spare_count--;
  else
    stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  braid_http2_stream_begin(stream, http2, id);
  braid_list_push(&http2->open, &stream->link);
  http2->streams++;
  http2->receiving++;
  return stream;
}

/* The exchange of a stream is over. `gone`: before its answer was complete. */
static void end_exchange(struct braid_http2_stream *stream, bool gone) {
  struct braid_exchange *exchange = stream->exchange;
  if (!exchange) return;
  stream->exchange = NULL;
  stream->over = true;
  exchange->stream = NULL;
  braid_exchange_over(exchange, gone);
}

/* Forgets a stream, and the exchange with it. */
static void drop_stream(struct braid_http2_stream *stream) {
  struct braid_http2 *http2 = stream->http2;
  end_input(stream);
  braid_http2_set_owing(stream, false);
  braid_list_remove(&stream->link);
  http2->streams--;
  end_exchange(stream, true);
  if (http2->spare_count == MOST_SPARE) {
    braid_http2_stream_free(stream);
    return;
  }
  braid_http2_stream_clear(stream);
  braid_list_push(&http2->spare, &stream->link);
  http2->spare_count++;
}

/* One connection too many: its requests are refused, and no more are taken. */
static unsigned give_up(struct braid_http2 *http2) {
  nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(http2->session),
                        NGHTTP2_NO_ERROR, NULL, 0);
  return 503;
}

/* The head of a request is complete. */
static void begin_exchange(struct braid_http2_stream *stream) {
  struct braid_web_connection *connection = stream->http2->connection;
  struct braid_exchange *exchange = braid_exchange_new(connection);
  if (!exchange) {
    nghttp2_submit_rst_stream(stream->http2->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_REFUSED_STREAM);
    return;
  }
  unsigned refusal = braid_http2_stream_parse(stream, &exchange->head, connection->server->options.max_header);
  exchange->text = stream->text.data;
  exchange->stream = stream;
  stream->exchange = exchange;
  unsigned bad_path = exchange->head.path.size > 0 || !refusal ? braid_exchange_set_path(exchange) : 0;
  if (!refusal) refusal = bad_path;
  if (connection->excess) refusal = give_up(stream->http2);
  if (refusal) {
    refuse(stream, refusal);
  } else if (stream->input_ended || !braid_exchange_asks(exchange)) {
    start_body(stream);
  } else {
    braid_exchange_tell(exchange, BRAID_NEWS_ASKED);
  }
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  struct braid_http2_stream *stream = new_stream(context, frame->hd.stream_id);
  if (!stream) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  nghttp2_session_set_stream_user_data(session, stream->id, stream);
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *context) {
  (void)flags;
  struct braid_http2 *http2 = context;
  struct braid_http2_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (!stream || stream->exchange || stream->over) return 0; /* trailers are dropped */
  braid_http2_stream_add(stream, (const char *)name, name_size, (const char *)value, value_size,
                         http2->connection->server->options.max_header);
  return 0;
}

/* What comes behind the answer to a client that has not sent all of its body. A reset at once would let clients lose
 * the answer; so there is a bound. */
static int drop_input(struct braid_http2_stream *stream, size_t size) {
  nghttp2_session *session = stream->http2->session;
  stream->dropped += size;
  if (stream->dropped > MOST_DROPPED)
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
  return nghttp2_session_consume_stream(session, stream->id, size);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *context) {
  (void)flags;
  struct braid_http2 *http2 = context;
  struct braid_http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
  struct braid_exchange *exchange = stream ? stream->exchange : NULL;
  nghttp2_session_consume_connection(session, size);
  braid_web_connection_body_came(http2->connection, size);
  if (!exchange || exchange->refusal || exchange->answered) return stream ? drop_input(stream, size) : 0;
  exchange->arrived += size;
  stream->held += size;
  if (exchange->arrived <= exchange->max_body && !braid_buffer_append(&exchange->body, data, size)) {
    refuse(stream, 503);
    return 0;
  }
  if (stream->admitted) take_input(stream);
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct braid_http2 *http2 = context;
  if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK && http2->draining)
    return nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session),
                                 NGHTTP2_NO_ERROR, NULL, 0);
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  struct braid_http2_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (!stream) return 0;
  bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
  if (last) end_input(stream);
  if (frame->hd.type == NGHTTP2_HEADERS && !stream->exchange && !stream->over)
    begin_exchange(stream);
  else if (last && stream->exchange && stream->admitted)
    take_input(stream);
  return 0;
}

/* The end of an answer has gone. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
              frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
  struct braid_http2_stream *stream = ends ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id) : NULL;
  if (!stream) return 0;
  braid_http2_set_owing(stream, false);
  end_exchange(stream, false);
  return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *context) {
  (void)error, (void)context;
  struct braid_http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
  if (!stream) return 0;
  nghttp2_session_set_stream_user_data(session, id, NULL);
  drop_stream(stream);
  return 0;
}

/* ---- the connection ------------------------------------------------------------------------------------------- */

/* Hands bytes to nghttp2. False: the connection has ended. */
static bool feed(struct braid_http2 *http2, const void *data, size_t size) {
  http2->inside = true;
  ssize_t count = nghttp2_session_mem_recv(http2->session, data, size);
  http2->inside = false;
  if (count >= 0) return true; /* of most faults nghttp2 tells the client by itself */
  nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
  if (braid_http2_flush(http2)) braid_web_connection_end(http2->connection, false);
  return false;
}

static void readable(struct braid_web_connection *connection) {
  struct braid_http2 *http2 = connection->state;
  const struct braid_transport_class *class = connection->transport.class;
  char piece[32 << 10];
  do {
    size_t count = braid_web_connection_read(connection, piece, sizeof piece);
    if (connection->ended || (count > 0 && !feed(http2, piece, count))) return;
  } while (!connection->in_ended && class->pending && class->pending(&connection->transport));
  if (!braid_http2_flush(http2)) return;
  if (connection->in_ended) braid_web_connection_end(connection, false);
}

static void writable(struct braid_web_connection *connection) { braid_http2_flush(connection->state); }

static void expired(struct braid_web_connection *connection) {
  struct braid_http2 *http2 = connection->state;
  bool idle = connection->wait == BRAID_WEB_IDLE;
  nghttp2_session_terminate_session(http2->session, NGHTTP2_NO_ERROR);
  if (braid_http2_flush(http2)) braid_web_connection_end(connection, !idle);
}

/* New requests that are on their way are still served: the last number is said when the client has heard of the end. */
static void drain(struct braid_web_connection *connection) {
  struct braid_http2 *http2 = connection->state;
  if (http2->draining) return;
  http2->draining = true;
  nghttp2_submit_shutdown_notice(http2->session);
  nghttp2_submit_ping(http2->session, NGHTTP2_FLAG_NONE, NULL);
  braid_http2_flush(http2);
}

/* Tells the client, as far as the socket takes it, which requests were not touched. */
static void say_goodbye(struct braid_http2 *http2) {
  struct braid_web_connection *connection = http2->connection;
  struct braid_buffer *batch = &connection->server->scratch;
  if (!connection->transport.class || braid_web_connection_backlog(connection) > 0 || connection->in_ended) return;
  nghttp2_session_terminate_session(http2->session, NGHTTP2_NO_ERROR);
  if (!braid_http2_collect(http2, batch) || batch->size == 0) return;
  struct iovec piece = {batch->data, batch->size};
  connection->transport.class->write(&connection->transport, &piece, 1);
}

static void term(struct braid_web_connection *connection) {
  struct braid_http2 *http2 = connection->state;
  if (!http2) return;
  braid_alarm_stop(connection->server->loop, &http2->alarm);
  if (!http2->inside) say_goodbye(http2);
  connection->state = NULL;
  nghttp2_session_del(http2->session);
  while (!braid_list_empty(&http2->open)) drop_stream(stream_at(http2->open.next));
  struct braid_http2_stream *stream;
  while ((stream = stream_at(braid_list_pop(&http2->spare)))) braid_http2_stream_free(stream);
  free(http2);
}

static const struct braid_protocol http2_protocol;

static nghttp2_session *open_session(struct braid_http2 *http2) {
  nghttp2_session_callbacks *callbacks = NULL;
  nghttp2_option *option = NULL;
  nghttp2_session *session = NULL;
  if (!nghttp2_session_callbacks_new(&callbacks) && !nghttp2_option_new(&option)) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_max_outbound_ack(option, MOST_ANSWERS);
    nghttp2_option_set_max_settings(option, MOST_SETTINGS);
    if (braid_nghttp2.option_set_stream_reset_rate_limit)
      braid_nghttp2.option_set_stream_reset_rate_limit(option, RESETS, RESET_RATE);
    if (braid_nghttp2.option_set_max_continuations)
      braid_nghttp2.option_set_max_continuations(option, MOST_CONTINUATIONS);
    if (nghttp2_session_server_new2(&session, callbacks, http2, option)) session = NULL;
  }
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
  return session;
}

static bool submit_settings(struct braid_http2 *http2) {
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MOST_STREAMS},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, http2->connection->server->options.max_header},
  };
  return !nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) &&
         !nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0, WHOLE_WINDOW);
}

static void begin(struct braid_web_connection *connection) {
  struct braid_http2 *http2 = calloc(1, sizeof *http2);
  connection->state = http2;
  if (http2) {
    http2->connection = connection;
    braid_list_init(&http2->open);
    braid_list_init(&http2->spare);
    http2->alarm.fire = braid_http2_on_alarm;
    http2->session = open_session(http2);
  }
  if (!http2 || !http2->session || !submit_settings(http2)) {
    if (http2 && !http2->session) {
      free(http2);
      connection->state = NULL;
    }
    braid_web_connection_end(connection, true);
    return;
  }
  if (!feed(http2, connection->in, connection->in_size)) return;
  connection->in_size = 0;
  braid_web_connection_rest(connection);
  if (connection->server->draining) drain(connection);
  if (!connection->ended) readable(connection);
}

static const struct braid_protocol http2_protocol = {
    .version = "HTTP/2",
    .begin = begin,
    .readable = readable,
    .writable = writable,
    .admitted = admitted,
    .wanted = wanted,
    .respond = braid_http2_respond,
    .write = braid_http2_write,
    .has_room = braid_http2_has_room,
    .end = braid_http2_end,
    .expired = expired,
    .upgrade = NULL,
    .drain = drain,
    .term = term,
};

const char *braid_http2_enable(struct braid_web_server *server) {
  const char *problem = braid_nghttp2_load();
  if (!problem) server->preface = &http2_protocol;
  return problem;
}

const struct braid_protocol *braid_http2_protocol(const char *name, size_t size) {
  return size == 2 && memcmp(name, "h2", 2) == 0 ? &http2_protocol : NULL;
}
#endif
