/* SPDX-License-Identifier: MIT
 * Finds out whether a head is the last one. libcurl reports that only with the body, which may come much later. */
#include "core/http/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
  MOST_HEAD = 1024 * 1024, /* bytes of one response's headers */
  MOST_KEPT = 64 * 1024    /* bytes of a buffer that is kept for the next request */
};

void braid_response_reset(struct braid_response *response, int64_t max_body, bool follows) {
  response->head.size = response->body.size = 0;
  response->received = 0;
  response->max_body = max_body;
  response->status = 0;
  response->follows = follows;
  response->located = response->headed = response->begun = response->oversize = false;
}

void braid_response_term(struct braid_response *response) {
  braid_buffer_term(&response->head);
  braid_buffer_term(&response->body);
}

void braid_response_shrink(struct braid_response *response) {
  if (response->head.capacity > MOST_KEPT) braid_buffer_term(&response->head);
  if (response->body.capacity > MOST_KEPT) braid_buffer_term(&response->body);
}

/* Whether it is a redirect that is followed. 300, 304, 305 and 306 are none. */
static bool is_redirect(const struct braid_response *response) {
  int status = response->status;
  return response->follows && response->located && ((status >= 301 && status <= 303) || status == 307 || status == 308);
}

/* Whether the head that has just ended is the last one. Another response follows after a 1xx, and may follow after a
 * request for authentication. */
static bool is_last(const struct braid_response *response) {
  int status = response->status;
  return status >= 200 && status != 401 && status != 407 && !is_redirect(response);
}

static void begin_head(struct braid_response *response, const char *line, size_t size) {
  const char *status = memchr(line, ' ', size);
  response->head.size = 0;
  response->status = status && line + size - status > 4 ? atoi(status) : 0;
  response->located = response->headed = false;
}

/* A line that goes on where the one before it ended: a header in several lines is one. */
static bool unfold(struct braid_response *response, const char *line, size_t size) {
  struct braid_buffer *head = &response->head;
  while (head->size > 0 && strchr("\r\n \t", head->data[head->size - 1])) head->size--;
  while (size > 0 && (*line == ' ' || *line == '\t')) line++, size--;
  return braid_buffer_append(head, " ", 1) && braid_buffer_append(head, line, size);
}

bool braid_response_head(struct braid_response *response, const char *line, size_t size) {
  bool between = response->headed || response->head.size == 0;
  if (response->begun || (between && (size < 5 || memcmp(line, "HTTP/", 5) != 0))) return true;
  if (between) begin_head(response, line, size);
  if (response->head.size + size > MOST_HEAD) return false;
  if (!between && (*line == ' ' || *line == '\t')) return unfold(response, line, size);
  if (size > 9 && strncasecmp(line, "location:", 9) == 0) response->located = true;
  if (*line == '\r' || *line == '\n') {
    response->headed = true;
    response->begun = is_last(response);
  }
  return braid_buffer_append(&response->head, line, size);
}

bool braid_response_body(struct braid_response *response, const char *data, size_t size) {
  if (is_redirect(response)) return true;
  response->begun = true;
  response->oversize = response->max_body > 0 && (int64_t)size > response->max_body - response->received;
  if (response->oversize || !braid_buffer_append(&response->body, data, size)) return false;
  response->received += (int64_t)size;
  return true;
}
