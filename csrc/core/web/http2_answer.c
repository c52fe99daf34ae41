/* SPDX-License-Identifier: MIT
 * nghttp2 asks for the bytes of an answer when the client has room for them. */
#include "core/web/http2_answer.h"

#ifdef BRAID_HAS_NGHTTP2
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/web/syntax.h"
#include "core/web/web_server.h"

enum { MOST_FIELDS = 130 };

static struct braid_http2_stream *stream_of(const struct braid_exchange *exchange) { return exchange->stream; }

static bool is_head_request(const struct braid_exchange *exchange) {
  return exchange->head.method.size == 4 && memcmp(exchange->text + exchange->head.method.at, "HEAD", 4) == 0;
}

static nghttp2_nv field_of(const char *name, size_t name_size, const char *value, size_t value_size) {
  return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, name_size, value_size,
                      NGHTTP2_NV_FLAG_NONE};
}

/* Fields that HTTP/2 has no place for. */
static bool belongs_to_connection(const struct braid_field *field) {
  static const char *const names[] = {"connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (braid_text_equals(field->name, field->name_size, names[i])) return true;
  return false;
}

/* Writes the names of field lines in lower case. Returns the copy; NULL: memory is out. */
static const char *lower_names(struct braid_buffer *copy, const char *fields, size_t size) {
  copy->size = 0;
  if (!braid_buffer_append(copy, fields, size)) return NULL;
  bool name = true;
  for (char *at = copy->data; at < copy->data + size; at++) {
    if (*at == ':') name = false;
    if (*at == '\n') name = true;
    if (name && *at >= 'A' && *at <= 'Z') *at = (char)(*at | 0x20);
  }
  return copy->data;
}

/* Returns the number of fields of the answer; 0: memory is out, or they are too many. The texts are valid until the
 * server's scratch buffer is used again. */
static size_t list_fields(struct braid_exchange *exchange, const struct braid_answer *answer, char digits[24],
                          nghttp2_nv list[MOST_FIELDS]) {
  struct braid_web_server *server = exchange->server;
  size_t count = 0;
  braid_date_update(&server->date);
  int status = snprintf(digits, 4, "%03u", answer->status % 1000);
  list[count++] = field_of(":status", 7, digits, (size_t)status);
  list[count++] = field_of("date", 4, server->date.line + 6, BRAID_DATE_LINE - 8);
  if (braid_status_has_body(answer->status) && answer->kind != BRAID_ANSWER_STREAM) {
    int size = snprintf(digits + 4, 20, "%llu", (unsigned long long)answer->size);
    list[count++] = field_of("content-length", 14, digits + 4, (size_t)size);
  }
  if (answer->fields_size == 0) return count;
  const char *at = lower_names(&server->scratch, answer->fields, answer->fields_size);
  const char *end = at ? at + answer->fields_size : NULL;
  struct braid_field field;
  while (at && braid_field_next(&at, end, &field)) {
    if (belongs_to_connection(&field)) continue;
    if (count == MOST_FIELDS) return 0;
    list[count++] = field_of(field.name, field.name_size, field.value, field.value_size);
  }
  return at ? count : 0;
}

/* nghttp2 asks for bytes of an answer. */
static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *context) {
  (void)session, (void)id, (void)context;
  struct braid_http2_stream *stream = source->ptr;
  ssize_t count = braid_http2_stream_take(stream, into, room);
  if (count < 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (stream->exchange && stream->exchange->gives_stream && braid_http2_stream_backlog(stream) < BRAID_HTTP2_ROOM)
    braid_exchange_wake(&stream->exchange->writers);
  if (braid_http2_stream_backlog(stream) > 0) return count;
  if (stream->out_ended) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return count;
  }
  braid_http2_set_owing(stream, false);
  if (count > 0) return count;
  stream->paused = true;
  return NGHTTP2_ERR_DEFERRED;
}

/* There is something to take, or the end. */
static void go_on(struct braid_http2_stream *stream) {
  braid_http2_set_owing(stream, true);
  if (stream->paused) nghttp2_session_resume_data(stream->http2->session, stream->id);
  stream->paused = false;
  braid_http2_send_soon(stream->http2);
}

/* The answer with its body, as far as that is known now. */
static bool take_body(struct braid_http2_stream *stream, const struct braid_answer *answer) {
  stream->out_ended = answer->kind != BRAID_ANSWER_STREAM;
  if (answer->kind == BRAID_ANSWER_FILE) {
    stream->file = answer->file;
    stream->file_offset = answer->offset;
    stream->file_left = answer->size;
  }
  return answer->kind != BRAID_ANSWER_BODY || braid_buffer_append(&stream->out, answer->body, (size_t)answer->size);
}

bool braid_http2_respond(struct braid_exchange *exchange, const struct braid_answer *answer) {
  struct braid_http2_stream *stream = stream_of(exchange);
  bool has_body = braid_status_has_body(answer->status) && !is_head_request(exchange) &&
                  (answer->kind == BRAID_ANSWER_STREAM || answer->size > 0);
  nghttp2_nv fields[MOST_FIELDS];
  char digits[24];
  size_t count = list_fields(exchange, answer, digits, fields);
  nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_answer};
  if (count == 0 || (has_body && answer->kind == BRAID_ANSWER_BODY && !take_body(stream, answer))) return false;
  if (nghttp2_submit_response(stream->http2->session, stream->id, fields, count, has_body ? &provider : NULL))
    return false;
  if (has_body && answer->kind != BRAID_ANSWER_BODY)
    take_body(stream, answer);
  else if (answer->kind == BRAID_ANSWER_FILE)
    close(answer->file);
  braid_http2_set_owing(stream, true);
  braid_http2_send_soon(stream->http2);
  return true;
}

/* Makes room at the beginning, so that the buffer does not grow while the client is never quite done. */
static void compact(struct braid_http2_stream *stream) {
  if (stream->taken < BRAID_HTTP2_ROOM) return;
  stream->out.size -= stream->taken;
  memmove(stream->out.data, stream->out.data + stream->taken, stream->out.size);
  stream->taken = 0;
}

bool braid_http2_write(struct braid_exchange *exchange, const void *data, size_t size) {
  struct braid_http2_stream *stream = stream_of(exchange);
  if (size == 0 || is_head_request(exchange) || !braid_status_has_body(exchange->status)) return true;
  compact(stream);
  if (!braid_buffer_append(&stream->out, data, size)) return false;
  go_on(stream);
  return true;
}

bool braid_http2_has_room(const struct braid_exchange *exchange) {
  return braid_http2_stream_backlog(stream_of(exchange)) < BRAID_HTTP2_ROOM;
}

void braid_http2_end(struct braid_exchange *exchange) {
  struct braid_http2_stream *stream = stream_of(exchange);
  struct braid_http2 *http2 = stream->http2;
  int32_t id = stream->id;
  if (!exchange->failed) {
    stream->out_ended = true;
    go_on(stream);
  } else if (braid_http2_flush(http2)) { /* what there is before the failure */
    nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
    braid_http2_send_soon(http2);
  }
}
#endif
