/* SPDX-License-Identifier: MIT
 * The lines of a head come in this order: status, date, the answer's own fields, framing, connection. */
#include "core/web/http1_head.h"

#include <string.h>

#include "core/web/web_server.h"

static inline bool append(struct braid_buffer *buffer, const char *text) {
  return braid_buffer_append(buffer, text, strlen(text));
}

static bool add_length(struct braid_buffer *head, uint64_t length) {
  char digits[24], *at = digits + sizeof digits;
  *--at = '\n';
  *--at = '\r';
  do *--at = (char)('0' + length % 10);
  while (length /= 10);
  return append(head, "Content-Length: ") && braid_buffer_append(head, at, (size_t)(digits + sizeof digits - at));
}

static bool add_framing(struct braid_exchange *exchange, const struct braid_answer *answer, struct braid_buffer *head) {
  if (!braid_status_has_body(answer->status)) return true;
  if (answer->kind == BRAID_ANSWER_STREAM)
    return braid_http1_is_old(exchange) || append(head, "Transfer-Encoding: chunked\r\n");
  return add_length(head, answer->size);
}

static bool add_connection(const struct braid_web_connection *connection, struct braid_buffer *head) {
  if (connection->closing) return append(head, "Connection: close\r\n");
  return !braid_http1_is_old(connection->exchange) || append(head, "Connection: keep-alive\r\n");
}

static bool add_status(struct braid_buffer *head, unsigned status) {
  char digits[] = "HTTP/1.1 200 ";
  digits[9] = (char)('0' + status / 100 % 10);
  digits[10] = (char)('0' + status / 10 % 10);
  digits[11] = (char)('0' + status % 10);
  return append(head, digits) && append(head, braid_status_words(status)) && append(head, "\r\n");
}

bool braid_http1_write_head(struct braid_exchange *exchange, const struct braid_answer *answer) {
  struct braid_web_server *server = exchange->server;
  struct braid_buffer *head = &server->scratch;
  head->size = 0;
  braid_date_update(&server->date);
  return add_status(head, answer->status) && braid_buffer_append(head, server->date.line, BRAID_DATE_LINE) &&
         braid_buffer_append(head, answer->fields, answer->fields_size) && add_framing(exchange, answer, head) &&
         add_connection(exchange->connection, head) && append(head, "\r\n");
}
