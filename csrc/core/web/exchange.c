/* SPDX-License-Identifier: MIT
 * An *owned* exchange is freed only after its owner is done with it, or was told that it is over. A *parked* exchange
 * is suspended in libmicrohttpd, which then does nothing for it and does not notice when the client leaves. So it joins
 * the server's list `fresh`, and after some time its socket is watched. */
#include "core/web/exchange.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"

enum {
  INDEX_BITS = 24,         /* of an exchange's number: its slot; the other bits count its uses */
  ANSWER_HEADER = 4 << 10, /* bytes of a response's headers */
  STREAM_ROOM = 64 << 10,  /* bytes of a streamed response that may wait for the client */
  STREAM_BLOCK = 4 << 10,  /* bytes that libmicrohttpd takes at once for a client without chunked coding */
};

int64_t braid_exchange_number(const struct braid_exchange *exchange) {
  return (int64_t)(exchange->uses << INDEX_BITS | exchange->index);
}

struct braid_exchange *braid_serve_find(const struct braid_serve *serve, int64_t number) {
  unsigned index = (unsigned)number & ((1u << INDEX_BITS) - 1);
  if (index >= serve->slot_count) return NULL;
  struct braid_exchange *exchange = serve->slots[index];
  if (!(exchange->uses & 1) || exchange->state == BRAID_EXCHANGE_OVER) return NULL;
  return braid_exchange_number(exchange) == number ? exchange : NULL;
}

/* ---- the request ---------------------------------------------------------------------------------------------- */

const char *braid_exchange_method(const struct braid_exchange *exchange) { return exchange->method; }

const char *braid_exchange_target(const struct braid_exchange *exchange, size_t *size) {
  *size = exchange->target.size;
  return exchange->target.data;
}

const char *braid_exchange_body(const struct braid_exchange *exchange, size_t *size) {
  *size = exchange->body.size;
  return exchange->body.data;
}

void braid_exchange_admit(struct braid_exchange *exchange, size_t max_body, bool takes_stream) {
  exchange->max_body = max_body;
  exchange->takes_stream = takes_stream;
}

enum braid_body braid_exchange_piece(const struct braid_exchange *exchange, const char **data, size_t *size) {
  *data = exchange->body.data;
  *size = exchange->body.size;
  if (exchange->arrived > exchange->max_body) return BRAID_BODY_TOO_LARGE;
  return exchange->body_ended ? BRAID_BODY_ENDED : BRAID_BODY_MORE;
}

void braid_exchange_forget_piece(struct braid_exchange *exchange) {
  exchange->body.size = 0;
  if (!exchange->body_ended) braid_exchange_unpark(exchange);
}

struct collection {
  struct braid_field *fields;
  size_t count, room;
};

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size,
                               const char *value, size_t value_size) {
  (void)kind;
  struct collection *found = cls;
  if (found->count < found->room)
    found->fields[found->count] = (struct braid_field){name, value ? value : "", name_size, value ? value_size : 0};
  found->count++;
  return MHD_YES;
}

size_t braid_exchange_fields(const struct braid_exchange *exchange, struct braid_field *fields, size_t room) {
  struct collection found = {fields, 0, room};
  MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, collect, &found);
  return found.count;
}

bool braid_exchange_peer(const struct braid_exchange *exchange, char *text, size_t room) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (!info || !info->client_addr) return false;
  socklen_t size = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  return getnameinfo(info->client_addr, size, text, (socklen_t)room, NULL, 0, NI_NUMERICHOST) == 0;
}

/* ---- parking -------------------------------------------------------------------------------------------------- */

void braid_exchange_park(struct braid_exchange *exchange) {
  if (exchange->parked) return;
  exchange->parked = true;
  exchange->suspended = braid_clock_now();
  braid_list_push(&exchange->serve->fresh, &exchange->quiet);
  MHD_suspend_connection(exchange->connection);
}

void braid_exchange_unpark(struct braid_exchange *exchange) {
  if (!exchange->parked) return;
  exchange->parked = false;
  if (exchange->watched) epoll_ctl(exchange->serve->departures, EPOLL_CTL_DEL, exchange->client->fd, NULL);
  exchange->watched = false;
  braid_list_remove(&exchange->quiet);
  MHD_resume_connection(exchange->connection);
}

void braid_exchange_tell(struct braid_exchange *exchange, unsigned news) {
  if (!exchange->owned) return;
  exchange->news |= news;
  if (braid_list_empty(&exchange->told)) braid_list_push(&exchange->serve->told, &exchange->told);
}

/* ---- the response --------------------------------------------------------------------------------------------- */

bool braid_exchange_answered(const struct braid_exchange *exchange) {
  return exchange->state >= BRAID_EXCHANGE_ANSWERED;
}

void braid_exchange_discard(struct braid_exchange *exchange) {
  if (exchange->response) MHD_destroy_response(exchange->response);
  exchange->response = NULL;
}

static bool prepared(struct braid_exchange *exchange, unsigned status, struct MHD_Response *response) {
  exchange->status = status;
  exchange->header_size = 0;
  exchange->gives_stream = false;
  exchange->response = response;
  return response != NULL;
}

bool braid_exchange_prepare(struct braid_exchange *exchange, unsigned status, const void *body, size_t size) {
  if (braid_exchange_answered(exchange)) return false;
  braid_exchange_discard(exchange);
  /* The cast is safe: with MUST_COPY libmicrohttpd only reads the data. */
  void *data = (void *)(uintptr_t)body;
  return prepared(exchange, status, MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_COPY));
}

bool braid_exchange_prepare_file(struct braid_exchange *exchange, unsigned status, int fd, uint64_t offset,
                                 uint64_t size) {
  struct MHD_Response *response = NULL;
  if (!braid_exchange_answered(exchange)) {
    braid_exchange_discard(exchange);
    response = MHD_create_response_from_fd_at_offset64(size, fd, offset);
  }
  if (!response) close(fd);
  return prepared(exchange, status, response);
}

/* A callback in braid_serve_run: libmicrohttpd asks for a piece of a stream. */
static ssize_t read_stream(void *cls, uint64_t position, char *room, size_t size) {
  (void)position;
  struct braid_exchange *exchange = cls;
  size_t left = exchange->out.size - exchange->out_taken;
  if (left == 0) {
    if (exchange->out_failed) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (exchange->out_ended) return MHD_CONTENT_READER_END_OF_STREAM;
    braid_exchange_park(exchange);
    return 0;
  }
  if (size > left) size = left;
  memcpy(room, exchange->out.data + exchange->out_taken, size);
  exchange->out_taken += size;
  if (size == left) exchange->out.size = exchange->out_taken = 0;
  if (exchange->wants_room && left - size < STREAM_ROOM / 2) {
    exchange->wants_room = false;
    braid_exchange_tell(exchange, BRAID_NEWS_ROOM);
  }
  return (ssize_t)size;
}

bool braid_exchange_prepare_stream(struct braid_exchange *exchange, unsigned status) {
  if (braid_exchange_answered(exchange)) return false;
  braid_exchange_discard(exchange);
  struct MHD_Response *response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, exchange, NULL);
  bool done = prepared(exchange, status, response);
  exchange->gives_stream = done;
  return done;
}

bool braid_exchange_add_header(struct braid_exchange *exchange, const char *name, const char *value) {
  exchange->header_size += strlen(name) + strlen(value) + sizeof ": \r\n" - 1;
  return exchange->header_size <= ANSWER_HEADER && MHD_add_response_header(exchange->response, name, value) == MHD_YES;
}

enum MHD_Result braid_exchange_queue(struct braid_exchange *exchange) {
  exchange->state = BRAID_EXCHANGE_SENDING;
  enum MHD_Result done = MHD_queue_response(exchange->connection, exchange->status, exchange->response);
  braid_exchange_discard(exchange);
  return done;
}

bool braid_exchange_send(struct braid_exchange *exchange) {
  if (braid_exchange_answered(exchange) || !exchange->response) return false;
  if (exchange->serve->draining) braid_exchange_add_header(exchange, "Connection", "close");
  exchange->state = BRAID_EXCHANGE_ANSWERED;
  exchange->owned = exchange->gives_stream;
  braid_list_remove(&exchange->unanswered);
  braid_exchange_unpark(exchange);
  return true;
}

bool braid_exchange_write(struct braid_exchange *exchange, const void *data, size_t size) {
  if (!exchange->gives_stream || exchange->out_ended) return false;
  if (exchange->out_taken > 0) { /* removes what was sent */
    exchange->out.size -= exchange->out_taken;
    memmove(exchange->out.data, exchange->out.data + exchange->out_taken, exchange->out.size);
    exchange->out_taken = 0;
  }
  if (!braid_buffer_append(&exchange->out, data, size)) return false;
  braid_exchange_unpark(exchange);
  return true;
}

bool braid_exchange_has_room(struct braid_exchange *exchange) {
  exchange->wants_room = exchange->out.size - exchange->out_taken >= STREAM_ROOM;
  return !exchange->wants_room;
}

void braid_exchange_end(struct braid_exchange *exchange, bool failed) {
  exchange->out_ended = true;
  exchange->out_failed = failed;
  exchange->owned = false;
  braid_exchange_unpark(exchange);
}
