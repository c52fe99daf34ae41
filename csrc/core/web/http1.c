/* SPDX-License-Identifier: MIT
 * The bytes that have come are in the connection's block. From its beginning they are: the head of the current request,
 * up to `used` its body as far as it was taken, then what comes next. So the head stays in place while its exchange
 * lives; pipelined requests wait behind it, and when the block is full the client has to wait.
 *
 * A connection that is not to go on although the client may still send is shut down and lingers: what comes is dropped,
 * up to a bound, because closing it at once would reset it, and the client might never see its answer. */
#include "core/web/http1.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/web/http1_head.h"
#include "core/web/syntax.h"
#include "core/web/web_server.h"

enum phase {
  HEAD,     /* a request's head is coming */
  ASKED,    /* the owner decides about a body */
  BODY,     /* a body is coming; if it is streamed, the owner has the exchange */
  HANDLING, /* the owner has the exchange; nothing more is read for it */
  SENDING,  /* the owner has answered */
  LINGERING /* the client has its answer; what it still sends is dropped */
};

enum {
  BODY_ROOM = 256 << 10,  /* bytes of a streamed body that may wait for the owner */
  STREAM_ROOM = 64 << 10, /* bytes of a streamed answer that may wait for the client */
  DIRECT = 256 << 10,     /* bytes of a body that are read at once */
  LEAST_ROOM = 1024,      /* of the block, behind a head, for a body */
  MOST_DRAINED = 16 << 20 /* bytes that a client may still send after its answer */
};

#define LEAVE "HTTP/1.1 100 Continue\r\n\r\n"
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static bool advance(struct braid_web_connection *connection);

static bool send_text(struct braid_web_connection *connection, const char *text, size_t size) {
  struct iovec piece = {(void *)(uintptr_t)text, size};
  return braid_web_connection_send(connection, &piece, 1);
}

static bool is_chunked(const struct braid_exchange *exchange) { return exchange->head.flags & BRAID_HEAD_CHUNKED; }

/* ---- refusing ------------------------------------------------------------------------------------------------- */

static void refuse(struct braid_web_connection *connection, unsigned status) {
  connection->closing = true;
  connection->phase = HANDLING;
  braid_web_connection_wait(connection, BRAID_WEB_FREE);
  braid_exchange_refuse(connection->exchange, status);
}

/* The exchange of a head that has not come completely. */
static bool refuse_head(struct braid_web_connection *connection, unsigned status) {
  struct braid_exchange *exchange = braid_exchange_new(connection);
  if (!exchange) {
    braid_web_connection_end(connection, true);
    return false;
  }
  exchange->head = connection->head;
  exchange->text = connection->in;
  connection->exchange = exchange;
  connection->used = connection->in_size;
  if (exchange->head.path.size > 0) braid_exchange_set_path(exchange);
  refuse(connection, status);
  return false;
}

/* A body that cannot go on. Who reads it piece by piece is told by its next read. */
static bool refuse_body(struct braid_web_connection *connection, unsigned status) {
  struct braid_exchange *exchange = connection->exchange;
  if (!exchange->streamed) {
    refuse(connection, status);
    return false;
  }
  connection->closing = true;
  connection->phase = HANDLING;
  exchange->refusal = status;
  braid_web_connection_wait(connection, BRAID_WEB_FREE);
  braid_exchange_wake(&exchange->readers);
  return false;
}

/* ---- the body ------------------------------------------------------------------------------------------------- */

static void give_leave(struct braid_exchange *exchange) {
  struct braid_web_connection *connection = exchange->connection;
  if (!exchange->asks_leave) return;
  exchange->asks_leave = false;
  if (connection->used == connection->in_size) send_text(connection, LEAVE, sizeof LEAVE - 1);
}

/* False: no more may be taken now. */
static bool take_piece(struct braid_web_connection *connection, const char *data, size_t size) {
  struct braid_exchange *exchange = connection->exchange;
  exchange->arrived += size;
  braid_web_connection_body_came(connection, size);
  if (exchange->arrived > exchange->max_body) return refuse_body(connection, 413);
  if (!braid_buffer_append(&exchange->body, data, size)) return refuse_body(connection, 503);
  if (exchange->streamed) braid_exchange_wake(&exchange->readers);
  return true;
}

static bool is_full(const struct braid_exchange *exchange) {
  return exchange->streamed && exchange->body.size >= BODY_ROOM;
}

/* Nothing is read until the owner has taken what is there. */
static bool pause_body(struct braid_web_connection *connection) {
  braid_web_connection_wait(connection, BRAID_WEB_FREE);
  braid_web_connection_watch(connection, BRAID_HANGUP);
  return false;
}

static bool end_body(struct braid_web_connection *connection) {
  struct braid_exchange *exchange = connection->exchange;
  exchange->body_ended = true;
  connection->phase = HANDLING;
  braid_web_connection_wait(connection, connection->in_ended ? BRAID_WEB_HALF : BRAID_WEB_FREE);
  if (exchange->streamed)
    braid_exchange_wake(&exchange->readers);
  else
    braid_exchange_dispatch(exchange);
  return true;
}

/* What has come is taken; the head stays. */
static bool await_more(struct braid_web_connection *connection) {
  uint32_t head = connection->exchange->head.size;
  if (connection->in_ended) {
    braid_web_connection_end(connection, false);
    return false;
  }
  connection->in_size = connection->used = head;
  return false;
}

static bool take_chunks(struct braid_web_connection *connection) {
  while (!is_full(connection->exchange)) {
    size_t used, size;
    const char *piece;
    const char *data = connection->in + connection->used;
    uint32_t most = connection->server->options.max_header;
    enum braid_chunks_result result = braid_chunks_next(
        &connection->chunks, data, connection->in_size - connection->used, most, &used, &piece, &size);
    if (result == BRAID_CHUNKS_BAD) return refuse_body(connection, 400);
    connection->used += (uint32_t)used;
    if (result == BRAID_CHUNKS_END) return end_body(connection);
    if (result == BRAID_CHUNKS_MORE) return await_more(connection);
    if (!take_piece(connection, piece, size)) return false;
  }
  return pause_body(connection);
}

static bool take_counted(struct braid_web_connection *connection) {
  struct braid_exchange *exchange = connection->exchange;
  if (is_full(exchange)) return pause_body(connection);
  uint64_t left = exchange->head.length - exchange->arrived;
  size_t here = connection->in_size - connection->used;
  size_t size = left < here ? (size_t)left : here;
  const char *data = connection->in + connection->used;
  connection->used += (uint32_t)size;
  if (size > 0 && !take_piece(connection, data, size)) return false;
  if (size == left) return end_body(connection);
  return is_full(exchange) ? pause_body(connection) : await_more(connection);
}

/* A large body is read where it is kept. Returns whether anything came. */
static bool read_directly(struct braid_web_connection *connection) {
  struct braid_exchange *exchange = connection->exchange;
  uint64_t left = exchange->head.length - exchange->arrived;
  size_t most = left < DIRECT ? (size_t)left : DIRECT;
  char *room = braid_buffer_reserve(&exchange->body, most);
  if (!room) return refuse_body(connection, 503);
  size_t count = braid_web_connection_read(connection, room, most);
  if (connection->ended) return false;
  if (count == 0) return connection->in_ended && await_more(connection);
  exchange->body.size += count;
  exchange->arrived += count;
  braid_web_connection_body_came(connection, count);
  if (exchange->streamed) braid_exchange_wake(&exchange->readers);
  return true;
}

/* ---- a request begins ----------------------------------------------------------------------------------------- */

/* The owner has decided. */
static void start_body(struct braid_exchange *exchange) {
  struct braid_web_connection *connection = exchange->connection;
  if (!is_chunked(exchange) && exchange->head.length > exchange->max_body) {
    exchange->streamed = false;
    refuse(connection, 413);
    return;
  }
  connection->phase = BODY;
  memset(&connection->chunks, 0, sizeof connection->chunks);
  braid_web_connection_wait(connection, BRAID_WEB_BODY);
  if (exchange->streamed)
    braid_exchange_dispatch(exchange);
  else
    give_leave(exchange);
}

static bool will_close(const struct braid_head *head) {
  return head->flags & BRAID_HEAD_CLOSE || (head->flags & BRAID_HEAD_OLD && !(head->flags & BRAID_HEAD_KEEP));
}

static bool begin_exchange(struct braid_web_connection *connection) {
  struct braid_exchange *exchange = braid_exchange_new(connection);
  if (!exchange) {
    braid_web_connection_end(connection, true);
    return false;
  }
  exchange->head = connection->head;
  exchange->text = connection->in;
  connection->exchange = exchange;
  connection->used = exchange->head.size;
  connection->closing = will_close(&exchange->head);
  connection->probes = 0;
  unsigned refusal = braid_exchange_set_path(exchange);
  if (connection->excess) refusal = 503;
  if (refusal) {
    refuse(connection, refusal);
  } else if (!is_chunked(exchange) && exchange->head.length == 0) {
    end_body(connection);
  } else if (braid_exchange_asks(exchange)) {
    exchange->asks_leave = exchange->head.flags & BRAID_HEAD_CONTINUE;
    connection->phase = ASKED;
    braid_web_connection_wait(connection, BRAID_WEB_FREE);
    braid_exchange_tell(exchange, BRAID_NEWS_ASKED);
  } else {
    exchange->asks_leave = exchange->head.flags & BRAID_HEAD_CONTINUE;
    start_body(exchange);
  }
  return true;
}

/* Whether the bytes may be the beginning of HTTP/2; if all of it has come, the connection goes over. */
static bool goes_over(struct braid_web_connection *connection) {
  size_t size = sizeof PREFACE - 1, here = connection->in_size;
  if (!connection->server->preface || memcmp(connection->in, PREFACE, here < size ? here : size) != 0) return false;
  if (here < size) return true;
  connection->protocol = connection->server->preface;
  connection->protocol->begin(connection);
  return true;
}

/* Between two requests. */
static bool idle(struct braid_web_connection *connection) {
  if (connection->in_ended) {
    braid_web_connection_end(connection, false);
    return false;
  }
  braid_web_connection_rest(connection);
  if (connection->wait != BRAID_WEB_IDLE) braid_web_connection_wait(connection, BRAID_WEB_IDLE);
  return false;
}

static bool take_head(struct braid_web_connection *connection) {
  if (connection->in_size == 0) return idle(connection);
  uint32_t most = connection->server->options.max_header;
  unsigned outcome = braid_head_parse(&connection->head, connection->in, connection->in_size, most);
  if (outcome == 200) return begin_exchange(connection);
  bool over = outcome == 505 && goes_over(connection);
  if (outcome && !over) return refuse_head(connection, outcome);
  if (connection->protocol != &braid_http1) return false;
  if (over) memset(&connection->head, 0, sizeof connection->head); /* the rest of the preface is to come */
  if (connection->in_ended)
    braid_web_connection_end(connection, false);
  else if (connection->wait != BRAID_WEB_HEAD)
    braid_web_connection_wait(connection, BRAID_WEB_HEAD);
  return false;
}

/* Does what the bytes that have come allow. Returns false. */
static bool advance(struct braid_web_connection *connection) {
  bool more = true;
  while (more && !connection->ended) {
    switch (connection->phase) {
      case HEAD: more = take_head(connection); break;
      case BODY: more = is_chunked(connection->exchange) ? take_chunks(connection) : take_counted(connection); break;
      default: more = false;
    }
  }
  return false;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static void drop_input(struct braid_web_connection *connection) {
  char waste[16 << 10];
  size_t count = braid_web_connection_read(connection, waste, sizeof waste);
  connection->drained += count;
  if (connection->in_ended || connection->drained > MOST_DRAINED) braid_web_connection_end(connection, false);
}

/* The client has ended its side while its request is handled. */
static void half_closed(struct braid_web_connection *connection) {
  if (!connection->transport.class->half_closes)
    braid_web_connection_end(connection, false);
  else if (connection->phase == HANDLING)
    braid_web_connection_wait(connection, BRAID_WEB_HALF);
}

static bool is_pending(const struct braid_web_connection *connection) {
  const struct braid_transport_class *class = connection->transport.class;
  return class->pending && class->pending(&connection->transport);
}

static bool reads_directly(const struct braid_web_connection *connection) {
  const struct braid_exchange *exchange = connection->exchange;
  return connection->phase == BODY && !is_chunked(exchange) && connection->used == connection->in_size &&
         exchange->head.length - exchange->arrived >= BRAID_WEB_BLOCK;
}

/* Reads into the block. Returns whether anything came. */
static bool read_block(struct braid_web_connection *connection) {
  uint32_t most = connection->server->options.max_header;
  bool waits = connection->phase != HEAD && connection->phase != BODY;
  bool full = connection->in && connection->in_size == connection->in_room;
  if (waits && full) { /* further requests wait in the system's buffer */
    braid_web_connection_watch(connection, BRAID_HANGUP);
    return false;
  }
  char *room = braid_web_connection_reserve(connection, connection->phase == BODY ? LEAST_ROOM : 1);
  if (!room) {
    braid_web_connection_end(connection, true);
    return false;
  }
  if (connection->exchange) connection->exchange->text = connection->in;
  size_t size = connection->in_room - connection->in_size;
  if (connection->phase == HEAD && size > most) size = most;
  size_t count = braid_web_connection_read(connection, room, size);
  if (connection->ended) return false;
  connection->in_size += (uint32_t)count;
  if (count == 0 && connection->in_size == 0 && !connection->exchange) braid_web_connection_rest(connection);
  return count > 0;
}

static void ask_for_protocol(struct braid_web_connection *connection) {
  struct braid_web_security *security = connection->server->security;
  const struct braid_transport_class *class = connection->transport.class;
  connection->told_protocol = true;
  size_t size;
  const char *name = class->protocol ? class->protocol(&connection->transport, &size) : NULL;
  if (!name || !security || !security->protocol) return;
  const struct braid_protocol *chosen = security->protocol(security, name, size);
  if (!chosen || chosen == connection->protocol) return;
  connection->protocol = chosen;
  chosen->begin(connection);
}

static void readable(struct braid_web_connection *connection) {
  do {
    if (connection->phase == LINGERING) {
      drop_input(connection);
      continue;
    }
    bool came = reads_directly(connection) ? read_directly(connection) : read_block(connection);
    if (connection->ended) return;
    if (came && !connection->told_protocol) ask_for_protocol(connection);
    if (connection->protocol != &braid_http1) return;
    if (connection->in_ended && connection->phase != HEAD && connection->phase != BODY) half_closed(connection);
    if (came || connection->in_ended) advance(connection);
  } while (!connection->ended && connection->interest & BRAID_READ && is_pending(connection));
}

/* Reads again after a pause. What the transport has decrypted already causes no event. */
static void read_again(struct braid_web_connection *connection) {
  if (connection->in_ended || connection->interest & BRAID_READ) return;
  braid_web_connection_watch(connection, BRAID_READ);
  if (is_pending(connection)) readable(connection);
}

static void admitted(struct braid_exchange *exchange) {
  struct braid_web_connection *connection = exchange->connection;
  if (connection->phase != ASKED) return;
  start_body(exchange);
  advance(connection);
}

static void wanted(struct braid_exchange *exchange) {
  struct braid_web_connection *connection = exchange->connection;
  if (connection->phase != BODY || is_full(exchange)) return;
  give_leave(exchange);
  if (connection->ended) return;
  if (connection->wait != BRAID_WEB_BODY) braid_web_connection_wait(connection, BRAID_WEB_BODY);
  advance(connection);
  if (!connection->ended && connection->phase == BODY && !is_full(connection->exchange)) read_again(connection);
}

/* ---- answering ------------------------------------------------------------------------------------------------ */

static bool is_head_request(const struct braid_exchange *exchange) {
  return exchange->head.method.size == 4 && memcmp(exchange->text + exchange->head.method.at, "HEAD", 4) == 0;
}

/* The client may still send; what it has got must not be lost by a reset. */
static void linger(struct braid_web_connection *connection) {
  connection->phase = LINGERING;
  connection->in_size = 0;
  connection->transport.class->shutdown(&connection->transport);
  if (connection->in_ended) {
    braid_web_connection_end(connection, false);
    return;
  }
  braid_web_connection_rest(connection);
  braid_web_connection_wait(connection, BRAID_WEB_LINGER);
  braid_web_connection_watch(connection, BRAID_READ);
}

/* The answer has gone. */
static void end_exchange(struct braid_web_connection *connection) {
  struct braid_exchange *exchange = connection->exchange;
  bool unread = !exchange->body_ended || exchange->refusal;
  connection->exchange = NULL;
  braid_exchange_over(exchange, false);
  if (connection->closing && unread) {
    linger(connection);
    return;
  }
  if (connection->closing) {
    braid_web_connection_end(connection, false);
    return;
  }
  connection->in_size -= connection->used;
  memmove(connection->in, connection->in + connection->used, connection->in_size);
  connection->used = 0;
  memset(&connection->head, 0, sizeof connection->head);
  connection->phase = HEAD;
  advance(connection);
  if (!connection->ended) read_again(connection);
}

/* What was written has gone, or the client has to read first. */
static void settle(struct braid_web_connection *connection) {
  const struct braid_exchange *exchange = connection->exchange;
  bool waits = braid_web_connection_backlog(connection) > 0;
  if (connection->ended) return;
  if (waits || (exchange->gives_stream && !exchange->stream_ended))
    braid_web_connection_wait(connection, waits ? BRAID_WEB_OUT : BRAID_WEB_FREE);
  else if (exchange->failed)
    braid_web_connection_end(connection, braid_http1_is_old(exchange));
  else
    end_exchange(connection);
}

static void take_file(struct braid_web_connection *connection, const struct braid_answer *answer) {
  connection->file = answer->file;
  connection->file_offset = answer->offset;
  connection->file_left = answer->size;
}

/* A small body goes into the head's buffer: so one plain piece is sent. */
static bool send_head(struct braid_exchange *exchange, const void *body, size_t size) {
  enum { SMALL = 2048 };
  struct braid_buffer *head = &exchange->server->scratch;
  bool joined = size > 0 && size <= SMALL && braid_buffer_append(head, body, size);
  struct iovec pieces[2] = {{head->data, head->size}, {(void *)(uintptr_t)body, size}};
  return braid_web_connection_send(exchange->connection, pieces, joined || size == 0 ? 1 : 2);
}

static bool respond(struct braid_exchange *exchange, const struct braid_answer *answer) {
  struct braid_web_connection *connection = exchange->connection;
  bool has_body = braid_status_has_body(answer->status) && !is_head_request(exchange);
  bool streams = answer->kind == BRAID_ANSWER_STREAM;
  if (!exchange->body_ended || answer->close || connection->server->draining ||
      (streams && braid_http1_is_old(exchange)))
    connection->closing = true;
  if (!braid_http1_write_head(exchange, answer)) return false;
  connection->phase = SENDING;
  bool here = has_body && answer->kind == BRAID_ANSWER_BODY;
  bool sent = send_head(exchange, answer->body, here ? (size_t)answer->size : 0);
  if (sent && has_body && answer->kind == BRAID_ANSWER_FILE && answer->size > 0) {
    take_file(connection, answer);
    braid_web_connection_flush(connection);
  } else if (answer->kind == BRAID_ANSWER_FILE) {
    close(answer->file);
  }
  if (!connection->ended) settle(connection);
  return true;
}

static bool write_stream(struct braid_exchange *exchange, const void *data, size_t size) {
  struct braid_web_connection *connection = exchange->connection;
  char line[24];
  if (size == 0 || is_head_request(exchange) || !braid_status_has_body(exchange->status)) return true;
  int digits = snprintf(line, sizeof line, "%zx\r\n", size);
  struct iovec pieces[3] = {{line, (size_t)digits}, {(void *)(uintptr_t)data, size}, {(void *)(uintptr_t) "\r\n", 2}};
  bool sent = braid_http1_is_old(exchange) ? braid_web_connection_send(connection, pieces + 1, 1)
                                           : braid_web_connection_send(connection, pieces, 3);
  if (sent) settle(connection);
  return true; /* a client that has gone is told of in another way */
}

static bool has_room(const struct braid_exchange *exchange) {
  return braid_web_connection_backlog(exchange->connection) < STREAM_ROOM;
}

static void end_stream(struct braid_exchange *exchange) {
  struct braid_web_connection *connection = exchange->connection;
  bool framed = !braid_http1_is_old(exchange) && !is_head_request(exchange) && braid_status_has_body(exchange->status);
  if (exchange->failed)
    connection->closing = true;
  else if (framed && !send_text(connection, "0\r\n\r\n", 5))
    return;
  settle(connection);
}

static void writable(struct braid_web_connection *connection) {
  struct braid_exchange *exchange = connection->exchange;
  if (connection->phase != SENDING) return;
  if (exchange->gives_stream && !exchange->stream_ended) braid_exchange_wake(&exchange->writers);
  settle(connection);
}

/* ---- the rest ------------------------------------------------------------------------------------------------- */

/* A client that has closed looks like one that has only ended its side, until something is sent to it. RFC 9110 lets a
 * client ignore 100 (Continue) that it has not asked for. The pauses double. */
static void probe(struct braid_web_connection *connection) {
  const struct braid_exchange *exchange = connection->exchange;
  bool now = (connection->probes & (connection->probes + 1)) == 0;
  if (connection->probes < UINT8_MAX) connection->probes++;
  if (!exchange || exchange->answered || braid_http1_is_old(exchange)) {
    braid_web_connection_wait(connection, BRAID_WEB_FREE);
    return;
  }
  if (now && !send_text(connection, LEAVE, sizeof LEAVE - 1)) return;
  braid_web_connection_wait(connection, BRAID_WEB_HALF);
}

static void expired(struct braid_web_connection *connection) {
  if (connection->wait == BRAID_WEB_HALF)
    probe(connection);
  else
    braid_web_connection_end(connection, connection->wait == BRAID_WEB_OUT);
}

static bool upgrade(struct braid_exchange *exchange, const void *head, size_t size, struct braid_transport *transport,
                    struct braid_buffer *rest) {
  struct braid_web_connection *connection = exchange->connection;
  struct iovec piece = {(void *)(uintptr_t)head, size};
  if (connection->phase != HANDLING || braid_web_connection_backlog(connection) > 0) return false;
  size_t more = connection->in_size - connection->used;
  if (more > 0 && !braid_buffer_append(rest, connection->in + connection->used, more)) return false;
  ssize_t sent = connection->transport.class->write(&connection->transport, &piece, 1);
  if (sent < 0 || (size_t)sent < size) return false;
  *transport = connection->transport;
  connection->transport.class = NULL;
  connection->exchange = NULL;
  exchange->answered = true;
  exchange->status = 101;
  braid_exchange_over(exchange, false);
  braid_web_connection_end(connection, false);
  return true;
}

/* A request that comes before the connection is closed is still answered, so nothing is done here. */
static void drain(struct braid_web_connection *connection) { (void)connection; }

static void term(struct braid_web_connection *connection) {
  struct braid_exchange *exchange = connection->exchange;
  connection->exchange = NULL;
  if (exchange) braid_exchange_over(exchange, true);
}

const struct braid_protocol braid_http1 = {
    .version = "HTTP/1.1",
    .begin = readable,
    .readable = readable,
    .writable = writable,
    .admitted = admitted,
    .wanted = wanted,
    .respond = respond,
    .write = write_stream,
    .has_room = has_room,
    .end = end_stream,
    .expired = expired,
    .upgrade = upgrade,
    .drain = drain,
    .term = term,
};
